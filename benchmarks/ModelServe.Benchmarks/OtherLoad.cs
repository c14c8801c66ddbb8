using System.Diagnostics;
using System.Globalization;

namespace ModelServe.Benchmarks;

/// <summary>What share of the machine's processors others had during a measurement: a figure that was disturbed shows it.</summary>
internal sealed class OtherLoad
{
    private const int TicksPerSecond = 100;
    private readonly double _busy;
    private readonly double _own;
    private readonly long _start = Stopwatch.GetTimestamp();

    private OtherLoad() => (_busy, _own) = (Busy(), Own());

    /// <summary>Begins now.</summary>
    public static OtherLoad Begin() => new();

    /// <summary>The share of all processors' time that other processes, the system's own threads and other machines on this one took; 0 where the system does not say.</summary>
    public double Share()
    {
        double elapsed = Stopwatch.GetElapsedTime(_start).TotalSeconds * Environment.ProcessorCount;
        return Math.Max(0, (Busy() - _busy - (Own() - _own)) / elapsed);
    }

    private static double Own()
    {
        using Process self = Process.GetCurrentProcess();
        return self.TotalProcessorTime.TotalSeconds;
    }

    private static double Busy()
    {
        if (!File.Exists("/proc/stat"))
        {
            return Own();
        }

        // cpu: user, nice, system, idle, waiting, interrupts (two kinds), stolen.
        double[] ticks = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(text => double.Parse(text, CultureInfo.InvariantCulture))];
        return (ticks.Take(8).Sum() - ticks[3] - ticks[4]) / TicksPerSecond;
    }
}
