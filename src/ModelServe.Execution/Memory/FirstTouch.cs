using System.Diagnostics;
using ModelServe.Execution.Native;

namespace ModelServe.Execution.Memory;

/// <summary>Has the system give memory its pages before the first steps need them.</summary>
/// <remarks>
/// A page's memory is cleared when it is first written: 0.2 ms for one of 2 MiB, and 4 ms in a virtual machine whose host has to find
/// the memory first. Left to the steps, that falls on the first prompts, and on every step in which sequences enter new blocks.
/// </remarks>
internal static unsafe class FirstTouch
{
    private const long LargePage = 2 << 20;

    // Of the key-value blocks only as many as soon are used: a server that is seldom asked keeps to itself what it does not need.
    private const long MostCacheBytes = 256 << 20;

    /// <summary>Gives pages to the activations, then to the first blocks of every layer and so on, for at most so long.</summary>
    public static void Run(ActivationArena arena, KvCache cache, TimeSpan most)
    {
        var start = Stopwatch.GetTimestamp();
        for (var offset = 0L; offset < arena.Bytes; offset += LargePage)
        {
            if (Stopwatch.GetElapsedTime(start) >= most || !Touch(arena.Start + offset, Math.Min(LargePage, arena.Bytes - offset)))
            {
                return;
            }
        }

        var layer = cache.Layers == 1 ? cache.Bytes : cache.Keys(1, 0, 0) - cache.Keys(0, 0, 0);
        for (var offset = 0L; offset < Math.Min(layer, MostCacheBytes / cache.Layers); offset += LargePage)
        {
            for (var i = 0; i < cache.Layers; i++)
            {
                if (Stopwatch.GetElapsedTime(start) >= most || !Touch(cache.Keys(i, 0, 0) + offset, Math.Min(LargePage, layer - offset)))
                {
                    return;
                }
            }
        }
    }

    // The page that a range begins in is whole only where the range is aligned; its neighbours' memory is the same buffer's.
    private static bool Touch(byte* start, long bytes)
    {
        var page = (nuint)Environment.SystemPageSize;
        var first = ((nuint)start + page - 1) / page * page;
        var last = ((nuint)start + (nuint)bytes) / page * page;
        return last <= first || LargePages.Populate((void*)first, last - first);
    }
}
