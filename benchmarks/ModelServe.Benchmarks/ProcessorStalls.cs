using System.Diagnostics;
using System.Globalization;
using ModelServe.Execution.Native;

namespace ModelServe.Benchmarks;

/// <summary>How often the machine's processors stand still by themselves: the floor under every 99th percentile that is measured on it.</summary>
/// <remarks>
/// A thread on each processor does nothing but look at the clock. Where it saw nothing for a while although the system counts all of it as
/// the thread's own time, no other thread was there: a hypervisor had given the processor to somebody else. The rest are other threads.
/// </remarks>
internal static class ProcessorStalls
{
    private const double LeastMilliseconds = 1;
    private const double OwnShare = 0.8;
    private static readonly TimeSpan Piece = TimeSpan.FromMicroseconds(100);

    /// <summary>Watches all processors at once and prints a line for each.</summary>
    public static void Print(TextWriter output, TimeSpan time)
    {
        var threads = new Thread[Environment.ProcessorCount];
        var lines = new string[threads.Length];
        for (var i = 0; i < threads.Length; i++)
        {
            var processor = i;
            threads[i] = new Thread(() => lines[processor] = Watch(processor, time)) { Priority = ThreadPriority.Highest };
            threads[i].Start();
        }

        Array.ForEach(threads, thread => thread.Join());
        Array.ForEach(lines, output.WriteLine);
    }

    private static string Watch(int processor, TimeSpan time)
    {
        ThreadAffinity.KeepTo(processor);
        var (own, others) = (new List<double>(), new List<double>());
        var start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < time)
        {
            var ran = ThreadClock.Seconds();
            var piece = Stopwatch.GetTimestamp();
            while (Stopwatch.GetElapsedTime(piece) < Piece)
            {
            }

            var away = Stopwatch.GetElapsedTime(piece) - Piece;
            if (away.TotalMilliseconds >= LeastMilliseconds)
            {
                var counted = ThreadClock.Seconds() - ran;
                (counted >= OwnShare * away.TotalSeconds ? own : others).Add(away.TotalMilliseconds);
            }
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"processor {processor}: {time.TotalSeconds:0} s; stood still for {LeastMilliseconds:0} ms or more {Told(own)}; another thread ran so long {Told(others)}");
    }

    private static string Told(List<double> milliseconds) => string.Create(
        CultureInfo.InvariantCulture,
        $"{milliseconds.Count} times ({milliseconds.Count(one => one >= 4)} of them 4 ms or more), {milliseconds.Sum():0} ms in all, largest {milliseconds.DefaultIfEmpty().Max():0.0} ms");
}
