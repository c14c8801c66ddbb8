namespace ModelServe.Execution.Cpu;

/// <summary>What a processor and its operating system can do, of what the native CPU library has kernels for.</summary>
/// <remarks>The values are those of <c>modelserve_cpu.h</c>.</remarks>
[Flags]
internal enum NativeCpuFeatures : uint
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>AVX-512 F, BW, DQ and VL.</summary>
    Avx512 = 1,

    /// <summary>Dot products of bfloat16 pairs.</summary>
    Avx512BFloat16 = 2,

    /// <summary>Dot products of four bytes.</summary>
    Avx512Vnni = 4,

    /// <summary>AVX2 and FMA.</summary>
    Avx2 = 8,
}
