using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Execution.Loading;

/// <summary>How weights are stored in memory.</summary>
public enum WeightFormat
{
    /// <summary>As the checkpoint stores them; float32 where that is half precision, which bfloat16 cannot hold.</summary>
    Auto,

    /// <summary>IEEE single precision.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Float32,

    /// <summary>The upper half of a single, rounded to nearest even.</summary>
    BFloat16,
}
