using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Execution.Quantization;

/// <summary>How the embedding table and the output head are stored when a model is quantised.</summary>
public enum HeadQuantization
{
    /// <summary>In 8 bits, whatever the layers are stored in: in 4 bits they cost the most accuracy for each byte they save.</summary>
    Auto,

    /// <summary>In 8 bits.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int8,

    /// <summary>In 4 bits.</summary>
    [SuppressMessage("Naming", "CA1720", Justification = "The name of a number format is what this enumeration is about.")]
    Int4,

    /// <summary>Not quantised.</summary>
    None,
}
