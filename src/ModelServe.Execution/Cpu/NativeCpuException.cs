using ModelServe.Execution.Loading;

namespace ModelServe.Execution.Cpu;

/// <summary>The native CPU library beside the program cannot be used; the message names the file and what is wrong with it.</summary>
public sealed class NativeCpuException : ModelLoadException
{
    /// <summary>Without a message.</summary>
    public NativeCpuException()
    {
    }

    /// <summary>With the reason.</summary>
    public NativeCpuException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public NativeCpuException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
