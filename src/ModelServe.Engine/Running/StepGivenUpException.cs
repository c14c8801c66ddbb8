namespace ModelServe.Engine.Running;

/// <summary>The executor returned after its step had been given up; the engine thread ends.</summary>
public sealed class StepGivenUpException : Exception
{
    /// <summary>With the one message there is.</summary>
    public StepGivenUpException()
        : base("the step was given up while it ran")
    {
    }

    /// <summary>With another message.</summary>
    public StepGivenUpException(string message)
        : base(message)
    {
    }

    /// <summary>With another message and a cause.</summary>
    public StepGivenUpException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
