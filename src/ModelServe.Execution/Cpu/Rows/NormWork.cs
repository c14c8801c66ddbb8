using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Rows;

/// <summary>Root-mean-square normalisation of rows, with or without a vector added to them first.</summary>
internal unsafe struct NormWork
{
    /// <summary>[Rows, Columns] what is normalised; where <see cref="Delta"/> is given, the sum is written back here.</summary>
    public float* X;

    /// <summary>[Rows, Columns] added to X first; or null.</summary>
    public float* Delta;

    /// <summary>[Columns].</summary>
    public float* Gain;

    /// <summary>[Rows, Columns] results; may be X.</summary>
    public float* Output;

    /// <summary>Added to the mean square.</summary>
    public float Epsilon;

    /// <summary>Rows.</summary>
    public int Rows;

    /// <summary>Columns.</summary>
    public int Columns;

    /// <summary>Computes one part of several of the <see cref="NormWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (NormWork*)context;
        var last = (int)((long)work->Rows * (part + 1) / parts);
        for (var row = (int)((long)work->Rows * part / parts); row < last; row++)
        {
            var start = (long)row * work->Columns;
            var square = work->Delta is null
                ? SquareSum(work->X + start, work->Columns)
                : AddAndSquareSum(work->X + start, work->Delta + start, work->Columns);
            Scale(work->X + start, Factor(square, work->Columns, work->Epsilon), work->Gain, work->Output + start, work->Columns);
        }
    }

    /// <summary>Normalises one row in place.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void InPlace(float* x, float* gain, float epsilon, int columns) =>
        Scale(x, Factor(SquareSum(x, columns), columns, epsilon), gain, x, columns);

    /// <summary>Adds two rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* left, float* right, float* sum, int columns)
    {
        var i = 0;
        for (; i + 16 <= columns; i += 16)
        {
            (Vector512.Load(left + i) + Vector512.Load(right + i)).Store(sum + i);
        }

        for (; i < columns; i++)
        {
            sum[i] = left[i] + right[i];
        }
    }

    private static float Factor(float squareSum, int columns, float epsilon) => 1f / MathF.Sqrt((squareSum / columns) + epsilon);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float SquareSum(float* x, int columns)
    {
        Vector512<float> a = default, b = default;
        var i = 0;
        for (; i + 32 <= columns; i += 32)
        {
            var v = Vector512.Load(x + i);
            var w = Vector512.Load(x + i + 16);
            a = Vector512.MultiplyAddEstimate(v, v, a);
            b = Vector512.MultiplyAddEstimate(w, w, b);
        }

        var sum = Reduction.Sum(a + b);
        for (; i < columns; i++)
        {
            sum += x[i] * x[i];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float AddAndSquareSum(float* x, float* delta, int columns)
    {
        Vector512<float> a = default, b = default;
        var i = 0;
        for (; i + 32 <= columns; i += 32)
        {
            var v = Vector512.Load(x + i) + Vector512.Load(delta + i);
            var w = Vector512.Load(x + i + 16) + Vector512.Load(delta + i + 16);
            v.Store(x + i);
            w.Store(x + i + 16);
            a = Vector512.MultiplyAddEstimate(v, v, a);
            b = Vector512.MultiplyAddEstimate(w, w, b);
        }

        var sum = Reduction.Sum(a + b);
        for (; i < columns; i++)
        {
            x[i] += delta[i];
            sum += x[i] * x[i];
        }

        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scale(float* x, float factor, float* gain, float* output, int columns)
    {
        var f = Vector512.Create(factor);
        var i = 0;
        for (; i + 16 <= columns; i += 16)
        {
            (Vector512.Load(x + i) * f * Vector512.Load(gain + i)).Store(output + i);
        }

        for (; i < columns; i++)
        {
            output[i] = x[i] * factor * gain[i];
        }
    }
}
