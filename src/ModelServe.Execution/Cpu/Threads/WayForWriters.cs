using System.Diagnostics;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Lets threads that write answers have the processors for a moment at the beginning of each step.</summary>
/// <remarks>
/// <para>
/// A token passes through half a dozen threads on its way to a client (the stream's, the connection's, the socket's), each of which runs for
/// tens of microseconds and wakes the next. Linux runs a thread that wakes at once only if it has had less of the processor than its
/// share by then (EEVDF's eligibility: Stoica and Abdel-Wahab, 1995); one that ran and slept a moment ago has had more, and then waits for the
/// next tick of the clock, up to 4 ms, although it would soon be owed the processor. Where all processors compute, that happened after
/// one step of seven. So for as long as tokens of the step before may be on their way, computing threads
/// offer their processors after each call of the pool, one system call where nobody takes the offer. Not where steps are
/// shorter than that while: writers come in between them, and to wait for them would cost such a model a fifth of its speed.
/// </para>
/// <para>Any thread of the pool offers; the pool's caller begins. Measured in <c>benchmarks/results</c>.</para>
/// </remarks>
internal sealed class WayForWriters
{
    private static readonly long Window = Stopwatch.Frequency * 1_500 / 1_000_000;
    private long _began = -Window;
    private long _until;

    /// <summary>A step begins: the tokens of the one before, if it was long, are about to be written.</summary>
    /// <param name="now">A timestamp of this moment.</param>
    public void Begin(long now)
    {
        var afterLongStep = now - _began >= Window;
        _began = now;
        Volatile.Write(ref _until, afterLongStep ? now + Window : 0);
        Offer(now);
    }

    /// <summary>Whether a step began a moment ago, after a long one.</summary>
    /// <param name="now">A timestamp of this moment.</param>
    public bool IsOpen(long now) => now < Volatile.Read(ref _until);

    /// <summary>Offers the caller's processor, early in a step, to a thread that waits for it.</summary>
    /// <param name="now">A timestamp of this moment.</param>
    public void Offer(long now)
    {
        if (IsOpen(now))
        {
            Thread.Yield();
        }
    }
}
