using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>The inner loops of the matrix product with 512-bit registers.</summary>
/// <remarks>
/// Each result has one accumulator and meets its columns in one order, whatever the width of the tile: a row's result does not
/// depend on how many rows are computed beside it.
/// </remarks>
internal static unsafe class WideTile
{
    private const int BlockColumns = 32;

    /// <summary>Four weight rows times the group's activation rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void FourRows<TWeight, TWidth>(in GemmTile tile)
        where TWeight : struct, IWeightLanes
        where TWidth : struct, ITileWidth
    {
        var p0 = tile.Weight;
        var p1 = p0 + tile.RowBytes;
        var p2 = p1 + tile.RowBytes;
        var p3 = p2 + tile.RowBytes;
        var x = tile.X;
        var tail = tile.Tail;
        var blocks = tile.Blocks;
        var ahead = tile.Ahead;
        Vector512<float> c00 = default, c10 = default, c20 = default, c30 = default;
        Vector512<float> c01 = default, c11 = default, c21 = default, c31 = default;
        Vector512<float> c02 = default, c12 = default, c22 = default, c32 = default;
        Vector512<float> c03 = default, c13 = default, c23 = default, c33 = default;
        for (var block = 0; ; block++)
        {
            if (block >= blocks)
            {
                if (tail is null)
                {
                    break;
                }

                p0 = tail;
                p1 = p0 + (BlockColumns * TWeight.Size);
                p2 = p1 + (BlockColumns * TWeight.Size);
                p3 = p2 + (BlockColumns * TWeight.Size);
                tail = null;
                ahead = 0;
            }

            if (Sse.IsSupported)
            {
                // Into the second level: it keeps more lines in flight than the first, which is what bounds one row's speed.
                Sse.Prefetch1(p0 + ahead);
                Sse.Prefetch1(p1 + ahead);
                Sse.Prefetch1(p2 + ahead);
                Sse.Prefetch1(p3 + ahead);
                if (TWeight.Size == sizeof(float))
                {
                    Sse.Prefetch1(p0 + 64 + ahead);
                    Sse.Prefetch1(p1 + 64 + ahead);
                    Sse.Prefetch1(p2 + 64 + ahead);
                    Sse.Prefetch1(p3 + 64 + ahead);
                }
            }

            var a0 = TWeight.First(p0);
            var a1 = TWeight.First(p1);
            var a2 = TWeight.First(p2);
            var a3 = TWeight.First(p3);
            var e = Vector512.Load(x);
            c00 = Vector512.MultiplyAddEstimate(a0, e, c00);
            c10 = Vector512.MultiplyAddEstimate(a1, e, c10);
            c20 = Vector512.MultiplyAddEstimate(a2, e, c20);
            c30 = Vector512.MultiplyAddEstimate(a3, e, c30);
            if (TWidth.Rows > 1)
            {
                e = Vector512.Load(x + 32);
                c01 = Vector512.MultiplyAddEstimate(a0, e, c01);
                c11 = Vector512.MultiplyAddEstimate(a1, e, c11);
                c21 = Vector512.MultiplyAddEstimate(a2, e, c21);
                c31 = Vector512.MultiplyAddEstimate(a3, e, c31);
            }

            if (TWidth.Rows > 2)
            {
                e = Vector512.Load(x + 64);
                c02 = Vector512.MultiplyAddEstimate(a0, e, c02);
                c12 = Vector512.MultiplyAddEstimate(a1, e, c12);
                c22 = Vector512.MultiplyAddEstimate(a2, e, c22);
                c32 = Vector512.MultiplyAddEstimate(a3, e, c32);
            }

            if (TWidth.Rows > 3)
            {
                e = Vector512.Load(x + 96);
                c03 = Vector512.MultiplyAddEstimate(a0, e, c03);
                c13 = Vector512.MultiplyAddEstimate(a1, e, c13);
                c23 = Vector512.MultiplyAddEstimate(a2, e, c23);
                c33 = Vector512.MultiplyAddEstimate(a3, e, c33);
            }

            a0 = TWeight.Second(p0);
            a1 = TWeight.Second(p1);
            a2 = TWeight.Second(p2);
            a3 = TWeight.Second(p3);
            e = Vector512.Load(x + 16);
            c00 = Vector512.MultiplyAddEstimate(a0, e, c00);
            c10 = Vector512.MultiplyAddEstimate(a1, e, c10);
            c20 = Vector512.MultiplyAddEstimate(a2, e, c20);
            c30 = Vector512.MultiplyAddEstimate(a3, e, c30);
            if (TWidth.Rows > 1)
            {
                e = Vector512.Load(x + 48);
                c01 = Vector512.MultiplyAddEstimate(a0, e, c01);
                c11 = Vector512.MultiplyAddEstimate(a1, e, c11);
                c21 = Vector512.MultiplyAddEstimate(a2, e, c21);
                c31 = Vector512.MultiplyAddEstimate(a3, e, c31);
            }

            if (TWidth.Rows > 2)
            {
                e = Vector512.Load(x + 80);
                c02 = Vector512.MultiplyAddEstimate(a0, e, c02);
                c12 = Vector512.MultiplyAddEstimate(a1, e, c12);
                c22 = Vector512.MultiplyAddEstimate(a2, e, c22);
                c32 = Vector512.MultiplyAddEstimate(a3, e, c32);
            }

            if (TWidth.Rows > 3)
            {
                e = Vector512.Load(x + 112);
                c03 = Vector512.MultiplyAddEstimate(a0, e, c03);
                c13 = Vector512.MultiplyAddEstimate(a1, e, c13);
                c23 = Vector512.MultiplyAddEstimate(a2, e, c23);
                c33 = Vector512.MultiplyAddEstimate(a3, e, c33);
            }

            p0 += BlockColumns * TWeight.Size;
            p1 += BlockColumns * TWeight.Size;
            p2 += BlockColumns * TWeight.Size;
            p3 += BlockColumns * TWeight.Size;
            x += BlockColumns * TWidth.Rows;
        }

        var bias = tile.Bias is null ? Vector128<float>.Zero : Vector128.Load(tile.Bias);
        var y = tile.Y;
        (Reduction.Sums(c00, c10, c20, c30) + bias).Store(y);
        if (TWidth.Rows > 1)
        {
            (Reduction.Sums(c01, c11, c21, c31) + bias).Store(y + tile.YStride);
        }

        if (TWidth.Rows > 2)
        {
            (Reduction.Sums(c02, c12, c22, c32) + bias).Store(y + (2 * tile.YStride));
        }

        if (TWidth.Rows > 3)
        {
            (Reduction.Sums(c03, c13, c23, c33) + bias).Store(y + (3 * tile.YStride));
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
            var sum = Vector512<float>.Zero;
            for (var block = 0; block < tile.Blocks; block++)
            {
                sum = Vector512.MultiplyAddEstimate(TWeight.First(weight), Vector512.Load(x), sum);
                sum = Vector512.MultiplyAddEstimate(TWeight.Second(weight), Vector512.Load(x + 16), sum);
                weight += BlockColumns * TWeight.Size;
                x += BlockColumns * TWidth.Rows;
            }

            if (tile.Tail is not null)
            {
                sum = Vector512.MultiplyAddEstimate(TWeight.First(tile.Tail), Vector512.Load(x), sum);
                sum = Vector512.MultiplyAddEstimate(TWeight.Second(tile.Tail), Vector512.Load(x + 16), sum);
            }

            tile.Y[row * tile.YStride] = Reduction.Sum(sum) + (tile.Bias is null ? 0f : *tile.Bias);
        }
    }
}
