using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Rounds activations to signed bytes, a scale for each row and group of columns, and arranges them for the tiles.</summary>
/// <remarks>
/// The scale lets the group's largest activation fall on 127. A group whose largest is below <see cref="RowQuantizer.Smallest"/> counts as
/// zero. A group with an infinity or not-a-number gets not-a-number as its scale, and so do all results of its row, and of no other.
/// The same activations give the same bytes on every machine, whatever is computed beside them.
/// </remarks>
internal static unsafe class QuantizedActivations
{
    private const int Lanes = 16;
    private const int Group = QuantizedShape.GroupColumns;

    // Added to a number below 2^22, it leaves the nearest whole number in the low bits, ties to even.
    private const float Rounder = 12_582_912f;

    /// <summary>Does one part of several of the <see cref="QuantizedWork"/> at <paramref name="context"/>.</summary>
    public static void Run(void* context, int part, int parts)
    {
        var work = (QuantizedWork*)context;
        var groups = work->Shape.Groups;
        var last = (long)work->Count * groups * (part + 1) / parts;
        for (var unit = (long)work->Count * groups * part / parts; unit < last; unit++)
        {
            OneGroup(work, (int)(unit / groups), (int)(unit % groups));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneGroup(QuantizedWork* work, int row, int group)
    {
        var block = (int)((((long)row + 1) * work->RowBlocks - 1) / work->Count);
        var first = work->FirstRow(block);
        var width = work->FirstRow(block + 1) - first;
        var target = work->Quantized + ((long)first * work->Shape.PaddedColumns) + ((long)group * Group * width) + ((row - first) * 4);
        var place = ((long)first * work->Shape.Groups) + ((long)group * width) + (row - first);
        var columns = Math.Clamp(work->Shape.Columns - (group * Group), 0, Group);
        var source = work->X + (row * work->XStride) + ((long)group * Group);
        if (columns < Group)
        {
            var padded = stackalloc float[Group];
            new Span<float>(padded, Group).Clear();
            new Span<float>(source, columns).CopyTo(new Span<float>(padded, Group));
            source = padded;
        }

        var x0 = Vector512.Load(source);
        var x1 = Vector512.Load(source + Lanes);
        var x2 = Vector512.Load(source + (2 * Lanes));
        var x3 = Vector512.Load(source + (3 * Lanes));
        var largest = Largest(x0, x1, x2, x3);
        if (!float.IsFinite(largest) || largest < RowQuantizer.Smallest)
        {
            work->Scales[place] = float.IsFinite(largest) ? 0f : float.NaN;
            work->Corrections[place] = 0;
            for (var quad = 0; quad < Group / 4; quad++)
            {
                *(uint*)(target + (4L * width * quad)) = 0;
            }

            return;
        }

        var inverse = 127f / largest;
        var q0 = Steps(x0, inverse);
        var q1 = Steps(x1, inverse);
        var q2 = Steps(x2, inverse);
        var q3 = Steps(x3, inverse);
        work->Scales[place] = largest / 127f;
        work->Corrections[place] = -work->Shape.Format.Offset() * Vector512.Sum((q0 + q1) + (q2 + q3));
        Store(q0, target, width);
        Store(q1, target + (16L * width), width);
        Store(q2, target + (32L * width), width);
        Store(q3, target + (48L * width), width);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Largest(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d)
    {
        // As whole numbers, so that not-a-number is larger than everything.
        var magnitude = Vector512.Create(int.MaxValue);
        var most = Vector512.Max(
            Vector512.Max(a.AsInt32() & magnitude, b.AsInt32() & magnitude),
            Vector512.Max(c.AsInt32() & magnitude, d.AsInt32() & magnitude));
        var half = Vector256.Max(most.GetLower(), most.GetUpper());
        var quarter = Vector128.Max(half.GetLower(), half.GetUpper());
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(2, 3, 0, 1)));
        quarter = Vector128.Max(quarter, Vector128.Shuffle(quarter, Vector128.Create(1, 0, 3, 2)));
        return BitConverter.Int32BitsToSingle(quarter.ToScalar());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<int> Steps(Vector512<float> x, float inverse) =>
        ((x * inverse) + Vector512.Create(Rounder)).AsInt32() - Vector512.Create(Rounder).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector512<int> steps, sbyte* target, int width)
    {
        var shorts = Vector256.Narrow(steps.GetLower(), steps.GetUpper());
        var bytes = Vector128.Narrow(shorts.GetLower(), shorts.GetUpper()).AsUInt32();
        *(uint*)target = bytes.GetElement(0);
        *(uint*)(target + (4L * width)) = bytes.GetElement(1);
        *(uint*)(target + (8L * width)) = bytes.GetElement(2);
        *(uint*)(target + (12L * width)) = bytes.GetElement(3);
    }
}
