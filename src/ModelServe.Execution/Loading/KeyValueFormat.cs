using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Execution.Loading;

/// <summary>How key-value blocks are stored.</summary>
public enum KeyValueFormat
{
    /// <summary>As the weights.</summary>
    Auto,

    /// <summary>The upper half of a single.</summary>
    BFloat16,

    /// <summary>One byte (e4m3), on a GPU: twice the tokens in the same memory, at a loss of precision.</summary>
    Float8,

    /// <summary>One byte with a scale for each token and head, on a CPU: nearly twice the tokens in the same memory.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int8,
}
