using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Execution.Operations;

/// <summary>How a number is stored. Arithmetic is float32 whatever the storage.</summary>
public enum ElementType
{
    /// <summary>IEEE 754 single precision, 4 bytes.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Float32,

    /// <summary>The upper half of a single, 2 bytes.</summary>
    BFloat16,

    /// <summary>Four bits of exponent and three of mantissa (e4m3), 1 byte; key-value blocks and quantised weights on a GPU only.</summary>
    Float8,

    /// <summary>Signed bytes with a scale for each token and head; key-value blocks on a CPU only.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int8,
}

/// <summary>Sizes of <see cref="ElementType"/>.</summary>
internal static class ElementTypeSizes
{
    /// <summary>Bytes of one element.</summary>
    public static int Bytes(this ElementType type) => type switch
    {
        ElementType.Float32 => 4,
        ElementType.BFloat16 => 2,
        _ => 1,
    };
}
