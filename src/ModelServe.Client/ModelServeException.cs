using ModelServe.V1;

namespace ModelServe.Client;

/// <summary>A request that was accepted and then failed: the terminal Error event of its stream.</summary>
/// <remarks>A request that was not accepted fails with <see cref="RequestRefusedException"/> instead.</remarks>
public sealed class ModelServeException : Exception
{
    /// <summary>Without a message.</summary>
    public ModelServeException()
    {
    }

    /// <summary>With a message.</summary>
    public ModelServeException(string message)
        : base(message)
    {
    }

    /// <summary>With a message and its cause.</summary>
    public ModelServeException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    internal ModelServeException(Error error)
        : base(error.Message)
    {
        Code = error.Code;
        IsRetryable = error.Retryable;
    }

    /// <summary>What kind of failure.</summary>
    public ErrorCode Code { get; }

    /// <summary>Whether the same request may succeed elsewhere or later.</summary>
    public bool IsRetryable { get; }
}
