using System.Globalization;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>How many processors this process may keep busy.</summary>
internal static class ProcessorShare
{
    private const string QuotaFile = "/sys/fs/cgroup/cpu.max";

    /// <summary>The processors of its affinity, or the whole ones of its container's quota if those are fewer; at least 1.</summary>
    /// <remarks>
    /// The runtime rounds a quota up. Threads that spin on a part of a processor use the quota up early in each period, and then all
    /// of them stand still until the next.
    /// </remarks>
    public static int Whole() => Math.Min(Environment.ProcessorCount, File.Exists(QuotaFile) ? WholeOf(File.ReadAllText(QuotaFile)) : int.MaxValue);

    /// <summary>The whole processors of a quota as a control group states it: microseconds and period, or max and period.</summary>
    internal static int WholeOf(string quota)
    {
        var parts = quota.Split(' ', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 2 &&
            long.TryParse(parts[0], CultureInfo.InvariantCulture, out var time) &&
            long.TryParse(parts[1], CultureInfo.InvariantCulture, out var period) && time > 0 && period > 0
            ? (int)Math.Clamp(time / period, 1, int.MaxValue)
            : int.MaxValue;
    }
}
