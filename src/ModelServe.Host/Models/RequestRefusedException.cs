using ModelServe.Engine.Admission;

namespace ModelServe.Host.Models;

/// <summary>A command's request was refused by the engine; carries the rejection.</summary>
internal sealed class RequestRefusedException : Exception
{
    /// <summary>With the engine's reason.</summary>
    public RequestRefusedException(Rejection rejection)
        : base(rejection.Message) =>
        Rejection = rejection;

    /// <summary>Without a message.</summary>
    public RequestRefusedException()
    {
    }

    /// <summary>With a message.</summary>
    public RequestRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>With a message and a cause.</summary>
    public RequestRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Why the request was refused.</summary>
    public Rejection? Rejection { get; }
}
