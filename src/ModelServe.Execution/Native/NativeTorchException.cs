using ModelServe.Execution.Loading;

namespace ModelServe.Execution.Native;

/// <summary>libtorch or its binding cannot be loaded; the message says which file is missing where, and what to do.</summary>
public sealed class NativeTorchException : ModelLoadException
{
    /// <summary>Without a message.</summary>
    public NativeTorchException()
    {
    }

    /// <summary>With the reason.</summary>
    public NativeTorchException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public NativeTorchException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
