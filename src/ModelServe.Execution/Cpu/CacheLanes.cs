using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace ModelServe.Execution.Cpu;

/// <summary>The two storage types of the cache.</summary>
internal static unsafe class CacheLanes
{
    /// <summary>float32.</summary>
    internal readonly struct Single32 : ICacheLanes
    {
        /// <inheritdoc />
        public static int Size => sizeof(float);

        /// <inheritdoc />
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load(byte* start, int element) => Vector512.Load((float*)start + element);
    }

    /// <summary>bfloat16.</summary>
    internal readonly struct BFloat16 : ICacheLanes
    {
        /// <inheritdoc />
        public static int Size => sizeof(ushort);

        /// <inheritdoc />
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Load(byte* start, int element) => BFloatLanes.Load((ushort*)start + element);
    }
}
