using ModelServe.Execution.Loading;

namespace ModelServe.Execution.Checkpoints;

/// <summary>A checkpoint is damaged, incomplete, or asks for what this build does not implement: names file, field, limit and value.</summary>
public sealed class CheckpointException : ModelLoadException
{
    /// <summary>Without a message.</summary>
    public CheckpointException()
    {
    }

    /// <summary>With the reason.</summary>
    public CheckpointException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public CheckpointException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>With the four parts of a reason.</summary>
    public CheckpointException(string file, string field, string limit, string value)
        : base($"{file}: {field}: {limit}; got {value}")
    {
    }

    /// <summary>Text from a file, cut so that a message stays readable.</summary>
    internal static string Shorten(string text) => text.Length <= 64 ? text : string.Concat(text.AsSpan(0, 61), "...");
}
