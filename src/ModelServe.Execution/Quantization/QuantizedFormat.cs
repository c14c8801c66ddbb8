using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Execution.Quantization;

/// <summary>How a quantised weight is stored: whole numbers of a few bits, and one scale for each group of columns of a row.</summary>
public enum QuantizedFormat
{
    /// <summary>8 bits, -127 to 127.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int8,

    /// <summary>4 bits, -8 to 7.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int4,

    /// <summary>8 bits with an exponent (e4m3) and one scale for each row; the products of a GPU take it.</summary>
    Float8,
}

/// <summary>Numbers of <see cref="QuantizedFormat"/>.</summary>
internal static class QuantizedFormats
{
    /// <summary>Bits of an element.</summary>
    public static int Bits(this QuantizedFormat format) => format == QuantizedFormat.Int8 ? 8 : 4;

    /// <summary>What is added to an element so that it is stored without a sign.</summary>
    public static int Offset(this QuantizedFormat format) => format == QuantizedFormat.Int8 ? 128 : 8;

    /// <summary>As people and options write it.</summary>
    public static string Name(this QuantizedFormat format) => format switch
    {
        QuantizedFormat.Int8 => "int8",
        QuantizedFormat.Int4 => "int4",
        _ => "fp8",
    };
}
