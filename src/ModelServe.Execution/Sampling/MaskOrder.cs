using System.Diagnostics;
using ModelServe.Engine.Admission;

namespace ModelServe.Execution.Sampling;

/// <summary>The next mask of one constrained sequence: ready, or ordered from the threads that make masks.</summary>
/// <remarks>
/// The engine thread owns the follower while the mask is ready, a worker while it is not. An order that nobody waits for any more is
/// finished and forgotten; a sequence that comes back to a slot has a new one.
/// </remarks>
internal sealed class MaskOrder(ITokenConstraintFollower follower)
{
    private static readonly TimeSpan LongWork = TimeSpan.FromMilliseconds(1);

    private ReadOnlyMemory<int> _output;
    private int _token = -1;
    private int _isReady;

    /// <summary>Who knows which tokens may come; the engine thread's own only while <see cref="IsReady"/>.</summary>
    public ITokenConstraintFollower Follower => follower;

    /// <summary>Whether the mask can be taken. Engine thread.</summary>
    public bool IsReady => Volatile.Read(ref _isReady) != 0;

    /// <summary>Whether a step has gone on without this mask, so that later steps do not wait for it again. Engine thread.</summary>
    public bool WasLate { get; private set; }

    /// <summary>Whether the last mask took so long that it goes to the threads for long work.</summary>
    public bool IsLong { get; private set; }

    /// <summary>The next in a queue of orders. Whoever holds the queue's lock.</summary>
    public MaskOrder? Next { get; set; }

    /// <summary>Why the work itself broke; null if it did not.</summary>
    public string? Failure { get; private set; }

    /// <summary>Orders the first mask, behind the output so far.</summary>
    /// <param name="output">Tokens that do not change any more.</param>
    /// <param name="workers">Who makes it; null for here and now.</param>
    public void Begin(ReadOnlyMemory<int> output, MaskWorkers? workers)
    {
        _output = output;
        IsLong = output.Length > 256;
        Send(workers);
    }

    /// <summary>Takes the token that came, and orders the mask behind it unless a look-up finds it. Engine thread, while ready.</summary>
    public void Advance(int token, MaskWorkers? workers)
    {
        if (Failure is null && !follower.TryFollow(token))
        {
            _token = token;
            Send(workers);
        }
    }

    /// <summary>A step goes on without this mask. Engine thread.</summary>
    public void PassOver() => WasLate = true;

    /// <summary>Makes the mask.</summary>
    public void Run()
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            follower.Follow(_token < 0 ? _output.Span : new ReadOnlySpan<int>(in _token));
        }
#pragma warning disable CA1031 // Whatever a constraint throws ends its own sequence; it must not take the thread that makes everybody's masks.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Failure = $"the constraint failed: {exception.Message}";
        }

        IsLong = Stopwatch.GetElapsedTime(start) > LongWork;
        _output = default;
        Volatile.Write(ref _isReady, 1);
    }

    private void Send(MaskWorkers? workers)
    {
        WasLate = false;
        _isReady = 0;
        if (workers is null)
        {
            Run();
        }
        else
        {
            workers.Add(this);
        }
    }
}
