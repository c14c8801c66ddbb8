using System.Diagnostics;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>A device without a model whose tokens tell when they were made, so that a client on the same machine knows how long they travelled.</summary>
/// <remarks>
/// A token is the monotonic clock in units of 100 µs, modulo the vocabulary. Steps last until the next tick, or no time at all.
/// Pace may be changed by any thread; everything else belongs to the engine thread.
/// </remarks>
internal sealed class ClockExecutor(ExecutorGeometry geometry) : IStepExecutor
{
    /// <summary>Units of the clock in a second.</summary>
    public const int UnitsPerSecond = 10_000;

    private readonly StepResult _result = new(geometry);
    private readonly ManualResetEventSlim _open = new(initialState: true);
    private readonly ManualResetEventSlim _never = new(initialState: false);
    private StepPlan? _plan;
    private long _pace;
    private long _next;

    /// <inheritdoc />
    public ExecutorGeometry Geometry => geometry;

    /// <inheritdoc />
    public int Depth => 1;

    /// <summary>Steps end at multiples of so many milliseconds; 0 lets them take no time.</summary>
    public long PaceMilliseconds
    {
        get => Volatile.Read(ref _pace);
        set => Volatile.Write(ref _pace, value);
    }

    /// <summary>The clock in its units.</summary>
    public static long Now() => (long)(Stopwatch.GetTimestamp() / (Stopwatch.Frequency / (double)UnitsPerSecond));

    /// <summary>No step ends until the executor is disposed.</summary>
    public void Hold() => _open.Reset();

    /// <inheritdoc />
    public void Submit(StepPlan plan) => _plan = plan;

    /// <inheritdoc />
    public StepResult Collect()
    {
        _open.Wait();
        Pace();
        StepPlan plan = _plan!;
        int token = (int)(Now() % geometry.VocabularySize);
        _result.StepId = plan.StepId;
        _result.SequenceCount = plan.SequenceCount;
        for (int i = 0; i < plan.SequenceCount; i++)
        {
            _result.TokenIds[i] = plan.Samples[i] ? token : StepResult.NoToken;
        }

        return _result;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _open.Set();
        _never.Dispose();
        _open.Dispose();
    }

    private void Pace()
    {
        long pace = PaceMilliseconds;
        if (pace == 0)
        {
            return;
        }

        long now = Environment.TickCount64;
        _next = _next + pace > now ? _next + pace : now + pace;
        _never.Wait(TimeSpan.FromMilliseconds(_next - now));
    }
}
