namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Which kernel multiplies quantised weights. All compute the same bits.</summary>
internal enum QuantizedPath
{
    /// <summary>The native library's, with the processor's dot products of bytes.</summary>
    Native,

    /// <summary>C# with 512-bit registers.</summary>
    Wide,

    /// <summary>C# with 256-bit registers.</summary>
    Narrow,

    /// <summary>C# that runs everywhere.</summary>
    Portable,
}
