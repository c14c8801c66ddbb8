using System.Diagnostics;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Leaves threads out of a pool's calls for a while where they hold them up by more than they are worth.</summary>
/// <remarks>
/// When another program takes a processor, the thread on it stands still for whole time slices, milliseconds each, and every call
/// that waits for its part stands still with it: a model makes a hundred calls a step, so it would run at a tenth of its speed on
/// the processors that are left. Without that thread it runs at their full speed. But a thread that stands still now and then, because
/// something brief ran on its processor, is worth its share of the work: one of two that is left out costs half of the
/// speed. So a thread is left out where calls waited for it for more of the latest time than it does of their work.
/// It is tried again after twice the time that it cost last, and after a time that doubles while it goes on to hold calls up. Called by the pool's caller.
/// </remarks>
internal sealed class StragglerWatch(PoolWorker[] workers)
{
    private static readonly long Patience = Stopwatch.Frequency / 1_000_000 * 300;
    private static readonly long LongestAbsence = Stopwatch.Frequency / 1_000 * 320;

    // Over how long waits are summed up, and what one of them counts for at most: how long it was says little about the next.
    private static readonly double Memory = Stopwatch.Frequency * 0.02;
    private static readonly double MostCounted = Stopwatch.Frequency * 0.005;

    // Calls that go without a thread are slower by its share, and steadier.
    private readonly double _bearable = 0.7 * Memory / (workers.Length + 1);
    private readonly long[] _until = new long[workers.Length];
    private readonly long[] _absence = new long[workers.Length];
    private readonly double[] _waited = new double[workers.Length];
    private readonly long[] _waitedAt = new long[workers.Length];

    /// <summary>Threads that are left out.</summary>
    public int Count { get; private set; }

    /// <summary>Before a call: takes back the threads whose time is over.</summary>
    public void Begin(long now)
    {
        for (var i = 0; Count > 0 && i < workers.Length; i++)
        {
            if (workers[i].IsLeftOut && now >= _until[i])
            {
                workers[i].IsLeftOut = false;
                Count--;
            }
        }
    }

    /// <summary>After a call for which the caller had to wait.</summary>
    /// <param name="waitedFrom">When the caller ran out of parts.</param>
    /// <param name="ownTicks">How long one of its own parts took.</param>
    public void End(long waitedFrom, long ownTicks)
    {
        var late = waitedFrom + Math.Max(Patience, 4 * ownTicks);
        var now = Stopwatch.GetTimestamp();
        if (now <= late)
        {
            return;
        }

        for (var i = 0; i < workers.Length; i++)
        {
            // Who has counted its part as done but not yet noted the time is late too: nobody else is busy now.
            if (!workers[i].IsLeftOut && (workers[i].LastEnd > late || workers[i].IsBusy))
            {
                _waited[i] = (_waited[i] * Math.Exp((_waitedAt[i] - now) / Memory)) + Math.Min(now - waitedFrom, MostCounted);
                _waitedAt[i] = now;
                if (_waited[i] > _bearable)
                {
                    LeaveOut(i, waitedFrom, now);
                }
            }
        }
    }

    private void LeaveOut(int i, long waitedFrom, long now)
    {
        var first = 2 * (now - waitedFrom);

        // Good for as long as it was away: its lateness counts as the first again.
        var relapsed = now - _until[i] < _absence[i];
        _absence[i] = Math.Min(LongestAbsence, relapsed ? Math.Max(first, 2 * _absence[i]) : first);
        _until[i] = now + _absence[i];
        workers[i].IsLeftOut = true;
        Count++;
    }
}
