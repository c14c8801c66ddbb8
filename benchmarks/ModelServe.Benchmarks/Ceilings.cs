using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Threads;

namespace ModelServe.Benchmarks;

/// <summary>What this machine can do at most, measured: the roofs over every other figure.</summary>
/// <param name="Threads">Threads used.</param>
/// <param name="ReadPass">DRAM read, GB/s, best pass over 1 GiB.</param>
/// <param name="ReadPiece">DRAM read, GB/s, best piece of 64 MiB.</param>
/// <param name="Single">float32 multiply-add, GFLOP/s.</param>
/// <param name="BFloat16">bfloat16 dot products, GFLOP/s; 0 without the native library.</param>
/// <param name="Bytes">Byte dot products, GOP/s; 0 without the native library.</param>
internal sealed record Ceilings(int Threads, double ReadPass, double ReadPiece, double Single, double BFloat16, double Bytes)
{
    private const long Iterations = 4_000_000;
    private const int Rounds = 5;

    /// <summary>Measures with that many threads.</summary>
    public static unsafe Ceilings Measure(int threads)
    {
        NativeCpuFeatures features = NativeCpu.Load();
        using ForkJoinPool pool = new(threads);
        double single = Best(pool, &SinglePart);
        double rounded = features.HasFlag(NativeCpuFeatures.Avx512BFloat16) ? Best(pool, &BFloatPart) : 0;
        double bytes = features.HasFlag(NativeCpuFeatures.Avx512Vnni) ? Best(pool, &BytesPart) : 0;
        (double pass, double piece) = DramBandwidth.Measure(threads);
        return new Ceilings(threads, pass, piece, single, rounded, bytes);
    }

    /// <summary>Dot products alone, of bytes or of bfloat16 pairs, in billions of operations a second; not a number without the native library.</summary>
    public static unsafe double Peak(int threads, bool isQuantized)
    {
        NativeCpuFeatures features = NativeCpu.Load();
        using ForkJoinPool pool = new(threads);
        return !features.HasFlag(isQuantized ? NativeCpuFeatures.Avx512Vnni : NativeCpuFeatures.Avx512BFloat16)
            ? double.NaN
            : Best(pool, isQuantized ? &BytesPart : &BFloatPart);
    }

    /// <inheritdoc />
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Threads} threads: DRAM read {ReadPass:0.0} GB/s (best pass over 1 GiB; best 64 MiB {ReadPiece:0.0}), float32 {Single:0} GFLOP/s, bfloat16 {BFloat16:0} GFLOP/s, bytes {Bytes:0} GOP/s");

    private static unsafe double Best(ForkJoinPool pool, delegate*<void*, int, int, void> body)
    {
        double best = 0;
        for (int round = 0; round < Rounds; round++)
        {
            Sums sums = default;
            long start = Stopwatch.GetTimestamp();
            pool.Run(body, &sums);
            best = Math.Max(best, sums.Operations / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9);
        }

        return best;
    }

    private static unsafe void BFloatPart(void* context, int part, int parts) =>
        Interlocked.Add(ref ((Sums*)context)->Operations, NativeCpuMethods.ms_cpu_bf16_peak(Iterations));

    private static unsafe void BytesPart(void* context, int part, int parts) =>
        Interlocked.Add(ref ((Sums*)context)->Operations, NativeCpuMethods.ms_cpu_vnni_peak(Iterations));

    // Ten chains hide the latency of a multiply-add; the results are used, so that none is dropped.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static unsafe void SinglePart(void* context, int part, int parts)
    {
        Vector512<float> x = Vector512.Create(1e-8f), a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x;
        for (long n = 0; n < Iterations; n++)
        {
            a = Vector512.MultiplyAddEstimate(x, x, a);
            b = Vector512.MultiplyAddEstimate(x, x, b);
            c = Vector512.MultiplyAddEstimate(x, x, c);
            d = Vector512.MultiplyAddEstimate(x, x, d);
            e = Vector512.MultiplyAddEstimate(x, x, e);
            f = Vector512.MultiplyAddEstimate(x, x, f);
            g = Vector512.MultiplyAddEstimate(x, x, g);
            h = Vector512.MultiplyAddEstimate(x, x, h);
            i = Vector512.MultiplyAddEstimate(x, x, i);
            j = Vector512.MultiplyAddEstimate(x, x, j);
        }

        float used = Vector512.Sum(a + b + c + d + e + f + g + h + i + j);
        Interlocked.Add(ref ((Sums*)context)->Operations, float.IsNaN(used) ? 0 : Iterations * 10 * 32);
    }

    private struct Sums
    {
        public long Operations;
    }
}
