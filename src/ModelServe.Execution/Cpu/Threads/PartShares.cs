using System.Runtime.CompilerServices;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Divides a run of units among threads: each has a share of its own, one run, which it takes from the front; who has none left takes from the others' backs.</summary>
/// <remarks>
/// So a thread reads on where it stopped, and knows what it will read next, and yet nobody waits for one that is slow. Every unit is
/// given out once. <see cref="Begin(byte*, int, int)"/> is called between the calls of a pool, <see cref="TryTake(int, out int, out bool)"/> by the threads of one.
/// </remarks>
internal unsafe struct PartShares
{
    // A cache line each, so that taking a unit disturbs no other thread.
    private const int Stride = 64 / sizeof(ulong);

    private ulong* _shares;
    private int _count;

    /// <summary>Bytes that so many shares take.</summary>
    public static long BytesFor(int shares) => (long)shares * Stride * sizeof(ulong);

    /// <summary>The first unit of a share, where a run is divided among so many.</summary>
    public static int First(int units, int share, int shares) => (int)((long)units * share / shares);

    /// <summary>Divides units 0 .. <paramref name="units"/> - 1 into shares as even as they come.</summary>
    /// <param name="memory">Room for them, a multiple of 64.</param>
    /// <param name="units">Units.</param>
    /// <param name="shares">Shares.</param>
    public void Begin(byte* memory, int units, int shares)
    {
        _shares = (ulong*)memory;
        _count = shares;
        for (var share = 0; share < shares; share++)
        {
            Volatile.Write(ref _shares[share * Stride], Word(First(units, share, shares), First(units, share + 1, shares)));
        }
    }

    /// <summary>Divides units into shares of which each begins where it is told and ends where the next begins.</summary>
    /// <param name="memory">Room for them, a multiple of 64.</param>
    /// <param name="starts">[share + 1] the first unit of each.</param>
    /// <param name="shares">Shares.</param>
    public void Begin(byte* memory, int* starts, int shares)
    {
        _shares = (ulong*)memory;
        _count = shares;
        for (var share = 0; share < shares; share++)
        {
            Volatile.Write(ref _shares[share * Stride], Word(starts[share], starts[share + 1]));
        }
    }

    /// <summary>Takes the next unit of a share, or the last one of another's that has some left.</summary>
    /// <param name="share">The caller's; none, beyond the last.</param>
    /// <param name="unit">What was taken.</param>
    /// <param name="follows">Whether the caller's next unit is the one after it.</param>
    /// <returns>Whether there was any left.</returns>
    public readonly bool TryTake(int share, out int unit, out bool follows)
    {
        if (share < _count && TryTake(ref _shares[share * Stride], fromFront: true, out unit, out follows))
        {
            return true;
        }

        for (var i = 1; i <= _count; i++)
        {
            if (TryTake(ref _shares[(share + i) % _count * Stride], fromFront: false, out unit, out follows))
            {
                return true;
            }
        }

        (unit, follows) = (0, false);
        return false;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryTake(ref ulong word, bool fromFront, out int unit, out bool follows)
    {
        var seen = Volatile.Read(ref word);
        while (true)
        {
            var (next, end) = ((int)(uint)seen, (int)(seen >> 32));
            if (next >= end)
            {
                (unit, follows) = (0, false);
                return false;
            }

            var left = fromFront ? Word(next + 1, end) : Word(next, end - 1);
            var now = Interlocked.CompareExchange(ref word, left, seen);
            if (now == seen)
            {
                unit = fromFront ? next : end - 1;
                follows = fromFront && next + 1 < end;
                return true;
            }

            seen = now;
        }
    }

    private static ulong Word(int next, int end) => ((ulong)(uint)end << 32) | (uint)next;
}
