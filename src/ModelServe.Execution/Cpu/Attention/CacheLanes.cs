using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu.Attention;

/// <summary>The storage types of the cache.</summary>
internal static class CacheLanes
{
    /// <summary>float32.</summary>
    internal readonly struct Single32 : ICacheLanes
    {
        /// <inheritdoc />
        public static int Pack => 1;

        /// <inheritdoc />
        public static bool HasScales => false;

        /// <inheritdoc />
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Row(Vector512<uint> lanes, int row) => lanes.AsSingle();
    }

    /// <summary>bfloat16.</summary>
    internal readonly struct BFloat16 : ICacheLanes
    {
        /// <inheritdoc />
        public static int Pack => 2;

        /// <inheritdoc />
        public static bool HasScales => false;

        /// <inheritdoc />
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Row(Vector512<uint> lanes, int row) =>
            (Vector512.ShiftLeft(lanes, 16 & ~(row << 4)) & Vector512.Create(0xFFFF0000u)).AsSingle();
    }

    /// <summary>Signed bytes.</summary>
    internal readonly struct Int8 : ICacheLanes
    {
        /// <inheritdoc />
        public static int Pack => 4;

        /// <inheritdoc />
        public static bool HasScales => true;

        /// <inheritdoc />
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Row(Vector512<uint> lanes, int row) =>
            Vector512.ConvertToSingle(Vector512.ShiftRightArithmetic(Vector512.ShiftLeft(lanes.AsInt32(), 24 - (8 * (row & 3))), 24));
    }
}
