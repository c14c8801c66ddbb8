namespace ModelServe.Api.Models;

/// <summary>A checkpoint cannot be served: the message names file, tensor or option, and no folder of the server.</summary>
public sealed class ModelRefusedException : Exception
{
    /// <summary>Without a message.</summary>
    public ModelRefusedException()
    {
    }

    /// <summary>With the reason.</summary>
    public ModelRefusedException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public ModelRefusedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
