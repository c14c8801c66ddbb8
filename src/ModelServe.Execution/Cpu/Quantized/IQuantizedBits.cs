namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>How many bits a quantised weight has, as a type argument.</summary>
internal interface IQuantizedBits
{
    /// <summary>Eight, or else four.</summary>
    static abstract bool IsEight { get; }
}
