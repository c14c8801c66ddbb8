using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Memory;

namespace ModelServe.Benchmarks;

/// <summary>Measures how fast this machine reads memory that no cache holds: the roof over everything that decodes.</summary>
internal static unsafe class DramBandwidth
{
    private const long BufferBytes = 1L << 30;
    private const int Rounds = 10;

    // On a shared machine a whole pass is seldom undisturbed; the best of many pieces, each far beyond any cache's prefetch, is.
    private const long PieceBytes = 64L << 20;

    /// <summary>Prints the best of several rounds, with one thread and with two.</summary>
    public static void Print(TextWriter output)
    {
        using var buffer = Filled(BufferBytes);
        foreach (var threads in new[] { 1, 2 })
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"dram read, {threads} thread(s): best piece of 64 MiB {Best(buffer, threads, Rounds):F1} GB/s, best pass over 1 GiB {BestPass(buffer, threads, Rounds):F1} GB/s"));
        }
    }

    /// <summary>Gigabytes per second of the best pass over 1 GiB and of the best piece of 64 MiB.</summary>
    public static (double Pass, double Piece) Measure(int threads)
    {
        using var buffer = Filled(BufferBytes);
        return (BestPass(buffer, threads, Rounds), Best(buffer, threads, Rounds));
    }

    /// <summary>A buffer whose pages are there.</summary>
    public static NativeBuffer Filled(long bytes)
    {
        var buffer = new NativeBuffer(bytes);
        var words = (uint*)buffer.Pointer;
        for (var i = 0L; i < bytes / sizeof(uint); i++)
        {
            // Small numbers in either storage type, and never a denormal one.
            words[i] = 0x3C003C00u + ((uint)i % 0x80u * 0x00010001u);
        }

        return buffer;
    }

    /// <summary>Gigabytes per second of the best piece, of so many passes over the buffer.</summary>
    public static double Best(NativeBuffer buffer, int threads, int rounds)
    {
        using var pool = new ForkJoinPool(threads);
        var best = 0.0;
        for (var round = 0; round < rounds; round++)
        {
            for (var offset = 0L; offset + PieceBytes <= buffer.Bytes; offset += PieceBytes)
            {
                best = Math.Max(best, Once(pool, buffer.Pointer + offset, PieceBytes));
            }
        }

        return best;
    }

    private static double BestPass(NativeBuffer buffer, int threads, int rounds)
    {
        using var pool = new ForkJoinPool(threads);
        var best = 0.0;
        for (var round = 0; round < rounds; round++)
        {
            best = Math.Max(best, Once(pool, buffer.Pointer, buffer.Bytes));
        }

        return best;
    }

    /// <summary>Gigabytes per second of one reading.</summary>
    public static double Once(ForkJoinPool pool, byte* data, long bytes)
    {
        Reading reading = default;
        reading.Start = data;
        reading.Bytes = bytes;
        var start = Stopwatch.GetTimestamp();
        pool.Run(&Read, &reading);
        return bytes / Stopwatch.GetElapsedTime(start).TotalSeconds / 1e9;
    }

    // Four streams and a prefetch some pages ahead read faster than one run with the hardware's prefetcher alone.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Read(void* context, int part, int parts)
    {
        const int Ahead = 2048;
        var reading = (Reading*)context;
        var length = reading->Bytes / parts / 4 / 64 * 64;
        var p = reading->Start + (4 * length * part);
        Vector512<uint> a = default, b = default, c = default, d = default;
        for (var i = 0L; i < length; i += 64)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(p + i + Ahead);
                Sse.Prefetch0(p + length + i + Ahead);
                Sse.Prefetch0(p + (2 * length) + i + Ahead);
                Sse.Prefetch0(p + (3 * length) + i + Ahead);
            }

            a ^= Vector512.Load((uint*)(p + i));
            b ^= Vector512.Load((uint*)(p + length + i));
            c ^= Vector512.Load((uint*)(p + (2 * length) + i));
            d ^= Vector512.Load((uint*)(p + (3 * length) + i));
        }

        Interlocked.Add(ref reading->Sink, Vector512.Sum(a ^ b ^ c ^ d));
    }

    private struct Reading
    {
        public byte* Start;
        public long Bytes;
        public uint Sink;
    }
}
