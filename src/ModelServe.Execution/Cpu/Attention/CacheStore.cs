using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu.Vectors;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>Stores one token's key and value in one head's part of a block, as <see cref="Memory.KvCache"/> lays it out.</summary>
internal static unsafe class CacheStore
{
    private const int LongestHead = 256;

    // A scale takes the greatest element to this.
    private const float Greatest = 127;

    /// <summary>As float32.</summary>
    public static void Singles(float* key, float* value, byte* target, int slot, int slots, int dim)
    {
        var keys = (float*)target;
        for (var i = 0; i < dim; i++)
        {
            keys[(i * slots) + slot] = key[i];
        }

        Unsafe.CopyBlockUnaligned(keys + ((slots + slot) * dim), value, (uint)dim * sizeof(float));
    }

    /// <summary>As bfloat16, two elements in a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pairs(float* key, float* value, byte* target, int slot, int slots, int dim)
    {
        var rounded = stackalloc ushort[2 * LongestHead];
        for (var i = 0; i < dim; i += 16)
        {
            BFloatLanes.Store(Vector512.Load(key + i), rounded + i);
            BFloatLanes.Store(Vector512.Load(value + i), rounded + dim + i);
        }

        var pairs = (uint*)rounded;
        var keys = (uint*)target + slot;
        for (var i = 0; i < dim / 2; i++)
        {
            keys[i * slots] = pairs[i];
        }

        var values = (ushort*)target + (slots * dim) + (slot / 2 * dim * 2) + (slot % 2);
        for (var i = 0; i < dim; i++)
        {
            values[2 * i] = rounded[dim + i];
        }
    }

    /// <summary>As signed bytes, four elements in a lane, with a scale for the key and one for the value.</summary>
    /// <remarks>What is not finite makes a scale that is not a number or infinite, so that reading shows it.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Bytes(float* key, float* value, byte* target, int slot, int slots, int dim)
    {
        var rounded = stackalloc sbyte[2 * LongestHead];
        var scales = (float*)(target + (2 * slots * dim));
        scales[slot] = Round(key, rounded, dim);
        scales[slots + slot] = Round(value, rounded + dim, dim);
        var fours = (uint*)rounded;
        var keys = (uint*)target + slot;
        for (var i = 0; i < dim / 4; i++)
        {
            keys[i * slots] = fours[i];
        }

        var values = (sbyte*)target + (slots * dim) + (slot / 4 * dim * 4) + (slot % 4);
        for (var i = 0; i < dim; i++)
        {
            values[4 * i] = rounded[dim + i];
        }
    }

    private static float Round(float* source, sbyte* target, int dim)
    {
        var most = Vector512<float>.Zero;
        for (var i = 0; i < dim; i += 16)
        {
            most = Vector512.Max(most, Vector512.Abs(Vector512.Load(source + i)));
        }

        // The platform's maximum keeps what is not a number, the reduction by lanes may not.
        var greatest = Vector512.EqualsAll(most, most) ? Reduction.Max(most) : float.NaN;
        var inverse = Vector512.Create(greatest > 0 ? Greatest / greatest : 0);
        for (var i = 0; i < dim; i += 16)
        {
            var whole = Vector512.ConvertToInt32(Vector512.Round(Vector512.Load(source + i) * inverse));
            Narrowed(whole).Store(target + i);
        }

        return greatest / Greatest;
    }

    private static Vector128<sbyte> Narrowed(Vector512<int> whole)
    {
        var half = Vector256.Narrow(whole.GetLower(), whole.GetUpper());
        return Vector128.Narrow(half.GetLower(), half.GetUpper());
    }
}
