using System.Diagnostics;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Lets threads that write answers have the processors for a moment at the beginning of each step.</summary>
/// <remarks>
/// <para>
/// A token passes through half a dozen threads on its way to a client (the stream's, the connection's, the socket's), each of which runs for
/// tens of microseconds and wakes the next. Linux runs a thread that wakes at once only if it has had less of the processor than its
/// share by then (EEVDF's eligibility: Stoica and Abdel-Wahab, 1995); one that ran and slept a moment ago has had more, and then waits for the
/// next tick of the clock, up to 4 ms, although it would soon be owed the processor. Where all processors compute, that happens to
/// one token in seven. So for as long as tokens of the step before may be on their way, computing threads
/// offer their processors after each call of the pool, which costs half a microsecond where nobody takes the offer.
/// </para>
/// <para>Any thread of the pool offers; the pool's caller begins. Measured in <c>benchmarks/results</c>.</para>
/// </remarks>
internal sealed class WayForWriters
{
    private static readonly long Window = Stopwatch.Frequency * 1_500 / 1_000_000;
    private long _until;

    /// <summary>A step begins: the tokens of the one before are about to be written.</summary>
    public void Begin()
    {
        Volatile.Write(ref _until, Stopwatch.GetTimestamp() + Window);
        Thread.Yield();
    }

    /// <summary>Whether a step began a moment ago.</summary>
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
