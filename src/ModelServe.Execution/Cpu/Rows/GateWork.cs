using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Rows;

/// <summary>The gated activation of rows: <c>silu(gate) * up</c>.</summary>
internal unsafe struct GateWork
{
    /// <summary>[Rows, gate Columns | up Columns].</summary>
    public float* GateUp;

    /// <summary>[Rows, Columns].</summary>
    public float* Output;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns of the result.</summary>
    public int Columns;

    /// <summary>Computes one part of several of the <see cref="GateWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        // A single row is divided too: parts are ranges of vectors over all rows.
        var work = (GateWork*)context;
        var vectors = (work->Columns + 15) / 16;
        var total = (long)vectors * work->Rows;
        var next = total * part / parts;
        var last = total * (part + 1) / parts;
        while (next < last)
        {
            var row = next / vectors;
            var first = (int)(next % vectors);
            var count = (int)Math.Min(vectors - first, last - next);
            var gate = work->GateUp + (row * 2 * work->Columns);
            Range(gate, gate + work->Columns, work->Output + (row * work->Columns), first * 16, Math.Min(work->Columns, (first + count) * 16));
            next += count;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Range(float* gate, float* up, float* output, int first, int end)
    {
        var i = first;
        for (; i + 16 <= end; i += 16)
        {
            var g = Vector512.Load(gate + i);
            (g / (Vector512<float>.One + Exponential.Of(-g)) * Vector512.Load(up + i)).Store(output + i);
        }

        for (; i < end; i++)
        {
            output[i] = gate[i] / (1f + Exponential.Of(-gate[i])) * up[i];
        }
    }
}
