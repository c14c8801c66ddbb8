using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>The inner loops of the matrix product with 256-bit registers, for processors without 512-bit ones.</summary>
/// <remarks>
/// Where a processor has only 128-bit registers the compiler splits each operation in two. As in <see cref="WideTile"/>, a result
/// does not depend on the rows beside it. Rows are taken one after another: sixteen registers hold no wider tile with its operands.
/// </remarks>
internal static unsafe class NarrowTile
{
    private const int BlockColumns = 32;

    /// <summary>Four weight rows times the group's activation rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourRows<TWeight, TWidth>(in GemmTile tile)
        where TWeight : struct, IWeightLanes
        where TWidth : struct, ITileWidth
    {
        var bias = tile.Bias is null ? Vector128<float>.Zero : Vector128.Load(tile.Bias);
        for (var row = 0; row < TWidth.Rows; row++)
        {
            Vector256<float> c0 = default, c1 = default, c2 = default, c3 = default;
            var weight = tile.Weight;
            var stride = tile.RowBytes;
            var x = tile.X + (row * BlockColumns);
            var tail = tile.Tail;
            for (var block = 0; ; block++)
            {
                if (block >= tile.Blocks)
                {
                    if (tail is null)
                    {
                        break;
                    }

                    weight = tail;
                    stride = BlockColumns * TWeight.Size;
                    tail = null;
                }

                var p1 = weight + stride;
                var p2 = p1 + stride;
                var p3 = p2 + stride;
                for (var half = 0; half < 2; half++)
                {
                    var e = Vector256.Load(x + (8 * half));
                    c0 = Vector256.MultiplyAddEstimate(TWeight.First256(weight, half), e, c0);
                    c1 = Vector256.MultiplyAddEstimate(TWeight.First256(p1, half), e, c1);
                    c2 = Vector256.MultiplyAddEstimate(TWeight.First256(p2, half), e, c2);
                    c3 = Vector256.MultiplyAddEstimate(TWeight.First256(p3, half), e, c3);
                    e = Vector256.Load(x + 16 + (8 * half));
                    c0 = Vector256.MultiplyAddEstimate(TWeight.Second256(weight, half), e, c0);
                    c1 = Vector256.MultiplyAddEstimate(TWeight.Second256(p1, half), e, c1);
                    c2 = Vector256.MultiplyAddEstimate(TWeight.Second256(p2, half), e, c2);
                    c3 = Vector256.MultiplyAddEstimate(TWeight.Second256(p3, half), e, c3);
                }

                weight += BlockColumns * TWeight.Size;
                x += BlockColumns * TWidth.Rows;
            }

            (Reduction.Sums(c0, c1, c2, c3) + bias).Store(tile.Y + (row * tile.YStride));
        }
    }

    /// <summary>One weight row times the group's activation rows, for the rows that do not fill a tile of four.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void OneRow<TWeight, TWidth>(in GemmTile tile)
        where TWeight : struct, IWeightLanes
        where TWidth : struct, ITileWidth
    {
        for (var row = 0; row < TWidth.Rows; row++)
        {
            var weight = tile.Weight;
            var x = tile.X + (row * BlockColumns);
            var sum = Vector256<float>.Zero;
            var blocks = tile.Blocks + (tile.Tail is null ? 0 : 1);
            for (var block = 0; block < blocks; block++)
            {
                if (block == tile.Blocks)
                {
                    weight = tile.Tail;
                }

                for (var half = 0; half < 2; half++)
                {
                    sum = Vector256.MultiplyAddEstimate(TWeight.First256(weight, half), Vector256.Load(x + (8 * half)), sum);
                    sum = Vector256.MultiplyAddEstimate(TWeight.Second256(weight, half), Vector256.Load(x + 16 + (8 * half)), sum);
                }

                weight += BlockColumns * TWeight.Size;
                x += BlockColumns * TWidth.Rows;
            }

            tile.Y[row * tile.YStride] = Reduction.Sum(sum) + (tile.Bias is null ? 0f : *tile.Bias);
        }
    }
}
