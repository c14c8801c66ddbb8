using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Tiles of quantised weights in C#, with registers of one size, for up to <see cref="MaxWidth"/> activation rows.</summary>
/// <remarks>
/// Weights are taken four bits at a time, because products of whole bytes would not fit the 16 bits that two of them are added in.
/// A group's sum is exact; sums meet their scales in float32, group after group, one accumulator a result, and the bias at the end: bit
/// for bit what the native kernel computes.
/// </remarks>
/// <typeparam name="TLanes">The arithmetic.</typeparam>
/// <typeparam name="TBytes">Its register of bytes.</typeparam>
/// <typeparam name="TShorts">Its register of 16-bit numbers.</typeparam>
/// <typeparam name="TInts">Its register of 32-bit numbers.</typeparam>
internal static unsafe class QuantizedTileKernel<TLanes, TBytes, TShorts, TInts>
    where TLanes : struct, IQuantizedLanes<TBytes, TShorts, TInts>
    where TBytes : struct
    where TShorts : struct
    where TInts : struct
{
    /// <summary>Most activation rows of a tile.</summary>
    public const int MaxWidth = 4;

    // Lines whose products are added in 16 bits: 8 * 2 * 15 * 127 < 2^15.
    private const int ShortLines = 8;
    private const int PanelRows = QuantizedShape.PanelRows;

    /// <summary>Computes a tile.</summary>
    public static void Run(QuantizedTile* tile)
    {
        switch (tile->Width, tile->Bits)
        {
            case (1, 8): Panels<TileWidths.One, QuantizedBits.Eight>(tile); break;
            case (2, 8): Panels<TileWidths.Two, QuantizedBits.Eight>(tile); break;
            case (3, 8): Panels<TileWidths.Three, QuantizedBits.Eight>(tile); break;
            case (_, 8): Panels<TileWidths.Four, QuantizedBits.Eight>(tile); break;
            case (1, _): Panels<TileWidths.One, QuantizedBits.Four>(tile); break;
            case (2, _): Panels<TileWidths.Two, QuantizedBits.Four>(tile); break;
            case (3, _): Panels<TileWidths.Three, QuantizedBits.Four>(tile); break;
            default: Panels<TileWidths.Four, QuantizedBits.Four>(tile); break;
        }
    }

    private static void Panels<TWidth, TBits>(QuantizedTile* tile)
        where TWidth : struct, ITileWidth
        where TBits : struct, IQuantizedBits
    {
        var results = stackalloc float[PanelRows * MaxWidth];
        for (var panel = 0; panel < tile->Panels; panel++)
        {
            new Span<float>(results, PanelRows * MaxWidth).Clear();
            OnePanel<TWidth, TBits>(tile, tile->Weight + (panel * tile->PanelBytes), results);
            var first = panel * PanelRows;
            var rows = Math.Min(PanelRows, tile->Rows - first);
            for (var m = 0; m < TWidth.Rows; m++)
            {
                var y = tile->Y + (m * tile->YStride) + first;
                for (var row = 0; row < rows; row++)
                {
                    var result = results[(m * PanelRows) + row];
                    y[row] = tile->Bias is null ? result : result + tile->Bias[first + row];
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OnePanel<TWidth, TBits>(QuantizedTile* tile, byte* weight, float* results)
        where TWidth : struct, ITileWidth
        where TBits : struct, IQuantizedBits
    {
        var x = tile->X;
        var scales = tile->Scales;
        var corrections = tile->Corrections;
        var ahead = tile->Ahead;
        for (var block = tile->Blocks; block > 0; block--)
        {
            var line = weight;
            weight += QuantizedShape.LineBytes;
            for (var half = 0; half < 2; half++)
            {
                for (var row = 0; row < PanelRows; row += TLanes.Rows)
                {
                    OneGroup<TWidth, TBits>(
                        weight + (row * 4), ahead, x, scales, corrections, line + (row * 4), half != 0, results + row);
                }

                weight += QuantizedShape.GroupColumns * PanelRows / (TBits.IsEight ? 1 : 2);
                x += QuantizedShape.GroupColumns * TWidth.Rows;
                scales += TWidth.Rows;
                corrections += TWidth.Rows;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void OneGroup<TWidth, TBits>(
        byte* weight, long ahead, sbyte* x, float* scales, int* corrections, byte* line, bool isSecond, float* results)
        where TWidth : struct, ITileWidth
        where TBits : struct, IQuantizedBits
    {
        var factor = (short)(TBits.IsEight ? 16 : 1);
        TInts s0 = TLanes.Every(corrections[0]), s1 = default, s2 = default, s3 = default;
        if (TWidth.Rows > 1)
        {
            s1 = TLanes.Every(corrections[1]);
        }

        if (TWidth.Rows > 2)
        {
            s2 = TLanes.Every(corrections[2]);
        }

        if (TWidth.Rows > 3)
        {
            s3 = TLanes.Every(corrections[3]);
        }

        for (var some = QuantizedShape.GroupColumns / (TBits.IsEight ? 4 : 8) / ShortLines; some > 0; some--)
        {
            TShorts a0 = default, a1 = default, a2 = default, a3 = default;
            TShorts b0 = default, b1 = default, b2 = default, b3 = default;
            for (var i = 0; i < ShortLines; i++)
            {
                if (Sse.IsSupported)
                {
                    Sse.Prefetch1(weight + ahead);
                }

                var bytes = TLanes.Load(weight);
                var low = TLanes.Low(bytes);
                var high = TLanes.High(bytes);
                var other = TBits.IsEight ? x : x + (4 * TWidth.Rows);
                a0 = TLanes.Multiply(low, TLanes.Four(x), a0);
                b0 = TLanes.Multiply(high, TLanes.Four(other), b0);
                if (TWidth.Rows > 1)
                {
                    a1 = TLanes.Multiply(low, TLanes.Four(x + 4), a1);
                    b1 = TLanes.Multiply(high, TLanes.Four(other + 4), b1);
                }

                if (TWidth.Rows > 2)
                {
                    a2 = TLanes.Multiply(low, TLanes.Four(x + 8), a2);
                    b2 = TLanes.Multiply(high, TLanes.Four(other + 8), b2);
                }

                if (TWidth.Rows > 3)
                {
                    a3 = TLanes.Multiply(low, TLanes.Four(x + 12), a3);
                    b3 = TLanes.Multiply(high, TLanes.Four(other + 12), b3);
                }

                weight += QuantizedShape.LineBytes;
                x += (TBits.IsEight ? 4 : 8) * TWidth.Rows;
            }

            s0 = TLanes.Add(s0, a0, b0, factor);
            if (TWidth.Rows > 1)
            {
                s1 = TLanes.Add(s1, a1, b1, factor);
            }

            if (TWidth.Rows > 2)
            {
                s2 = TLanes.Add(s2, a2, b2, factor);
            }

            if (TWidth.Rows > 3)
            {
                s3 = TLanes.Add(s3, a3, b3, factor);
            }
        }

        TLanes.Scale(s0, line, isSecond, scales[0], results);
        if (TWidth.Rows > 1)
        {
            TLanes.Scale(s1, line, isSecond, scales[1], results + PanelRows);
        }

        if (TWidth.Rows > 2)
        {
            TLanes.Scale(s2, line, isSecond, scales[2], results + (2 * PanelRows));
        }

        if (TWidth.Rows > 3)
        {
            TLanes.Scale(s3, line, isSecond, scales[3], results + (3 * PanelRows));
        }
    }
}
