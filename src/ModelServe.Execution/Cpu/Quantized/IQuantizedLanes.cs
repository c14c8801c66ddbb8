namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Arithmetic of a quantised tile with registers of one size, as a type argument. All sizes give the same bits.</summary>
/// <typeparam name="TBytes">A register of bytes.</typeparam>
/// <typeparam name="TShorts">A register of 16-bit numbers.</typeparam>
/// <typeparam name="TInts">A register of 32-bit numbers, one a weight row.</typeparam>
internal unsafe interface IQuantizedLanes<TBytes, TShorts, TInts>
    where TBytes : struct
    where TShorts : struct
    where TInts : struct
{
    /// <summary>Weight rows that a register covers.</summary>
    static abstract int Rows { get; }

    /// <summary>Four bytes of each row.</summary>
    static abstract TBytes Load(byte* weight);

    /// <summary>The low four bits of each byte.</summary>
    static abstract TBytes Low(TBytes weights);

    /// <summary>The high four bits of each byte.</summary>
    static abstract TBytes High(TBytes weights);

    /// <summary>Four activations for every row.</summary>
    static abstract TBytes Four(sbyte* x);

    /// <summary>Adds the products of weights below 16 with signed activations to <paramref name="sums"/>, pair by pair.</summary>
    static abstract TShorts Multiply(TBytes weights, TBytes x, TShorts sums);

    /// <summary>The same number for every row.</summary>
    static abstract TInts Every(int value);

    /// <summary><c>sums + pairs of low + factor * pairs of high</c>.</summary>
    static abstract TInts Add(TInts sums, TShorts low, TShorts high, short factor);

    /// <summary><c>results = sums * (scale of the row * scale) + results</c>, rounded after the scales' product and once more.</summary>
    /// <param name="sums">Whole numbers.</param>
    /// <param name="scales">The line with the weights' scales, from the first row on.</param>
    /// <param name="isSecond">Whether the second group's are meant.</param>
    /// <param name="scale">Of the activations.</param>
    /// <param name="results">One a row.</param>
    static abstract void Scale(TInts sums, byte* scales, bool isSecond, float scale, float* results);
}
