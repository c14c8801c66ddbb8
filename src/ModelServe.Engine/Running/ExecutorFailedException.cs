namespace ModelServe.Engine.Running;

/// <summary>The executor cannot run another step; every live request of its engine ends, and the model is not served any more.</summary>
public sealed class ExecutorFailedException : Exception
{
    /// <summary>Without a message.</summary>
    public ExecutorFailedException()
    {
    }

    /// <summary>With the reason.</summary>
    public ExecutorFailedException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public ExecutorFailedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
