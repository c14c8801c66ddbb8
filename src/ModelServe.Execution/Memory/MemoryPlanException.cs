using ModelServe.Execution.Loading;

namespace ModelServe.Execution.Memory;

/// <summary>A model does not fit the memory it was given; the message names what is needed and what there is.</summary>
public sealed class MemoryPlanException : ModelLoadException
{
    /// <summary>Without a message.</summary>
    public MemoryPlanException()
    {
    }

    /// <summary>With the reason.</summary>
    public MemoryPlanException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public MemoryPlanException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
