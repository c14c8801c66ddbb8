namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>The widths of a quantised weight as type arguments: the compiler drops what the other needs.</summary>
internal static class QuantizedBits
{
    /// <summary>Eight bits: the high half of a byte belongs to the same column as the low half.</summary>
    internal readonly struct Eight : IQuantizedBits
    {
        /// <inheritdoc />
        public static bool IsEight => true;
    }

    /// <summary>Four bits: the high half of a byte belongs to the fourth column after the low half's.</summary>
    internal readonly struct Four : IQuantizedBits
    {
        /// <inheritdoc />
        public static bool IsEight => false;
    }
}
