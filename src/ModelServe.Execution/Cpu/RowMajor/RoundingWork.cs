using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>Conversion of whole matrices between float32 and bfloat16 around a library's product.</summary>
internal unsafe struct RoundingWork
{
    /// <summary>[Rows, SingleStride].</summary>
    public float* Single;

    /// <summary>Elements from one float32 row to the next.</summary>
    public long SingleStride;

    /// <summary>[Rows, Columns].</summary>
    public ushort* Rounded;

    /// <summary>[Columns] added when widening; or null.</summary>
    public float* Bias;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns.</summary>
    public int Columns;

    /// <summary>Rounds one part of several of the <see cref="RoundingWork"/> at <paramref name="context"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(void* context, int part, int parts)
    {
        var work = (RoundingWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        for (var row = (int)((long)work->Rows * part / parts); row < last; row++)
        {
            var source = work->Single + (row * work->SingleStride);
            var target = work->Rounded + ((long)row * work->Columns);
            var i = 0;
            for (; i + 16 <= work->Columns; i += 16)
            {
                BFloatLanes.Store(Vector512.Load(source + i), target + i);
            }

            for (; i < work->Columns; i++)
            {
                target[i] = BFloat.FromSingle(source[i]);
            }
        }
    }

    /// <summary>Widens one part of several of the <see cref="RoundingWork"/> at <paramref name="context"/>, and adds the bias.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(void* context, int part, int parts)
    {
        var work = (RoundingWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        for (var row = (int)((long)work->Rows * part / parts); row < last; row++)
        {
            var source = work->Rounded + ((long)row * work->Columns);
            var target = work->Single + (row * work->SingleStride);
            var i = 0;
            for (; i + 16 <= work->Columns; i += 16)
            {
                var value = BFloatLanes.Load(source + i);
                (work->Bias is null ? value : value + Vector512.Load(work->Bias + i)).Store(target + i);
            }

            for (; i < work->Columns; i++)
            {
                target[i] = BFloat.ToSingle(source[i]) + (work->Bias is null ? 0f : work->Bias[i]);
            }
        }
    }
}
