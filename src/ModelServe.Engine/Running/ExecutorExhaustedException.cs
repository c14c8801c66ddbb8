namespace ModelServe.Engine.Running;

/// <summary>The executor had not the memory for a step, now. It is sound and has dropped every step in flight; the same may succeed later.</summary>
/// <remarks>The engine computes what was running again. Whatever the dropped steps wrote is read by nobody.</remarks>
public sealed class ExecutorExhaustedException : Exception
{
    /// <summary>Without a message.</summary>
    public ExecutorExhaustedException()
    {
    }

    /// <summary>With the reason.</summary>
    public ExecutorExhaustedException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public ExecutorExhaustedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
