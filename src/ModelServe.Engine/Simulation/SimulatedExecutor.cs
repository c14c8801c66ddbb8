using ModelServe.Engine.Running;

namespace ModelServe.Engine.Simulation;

/// <summary>A device that only takes time: steps cost what a model of the cost says, tokens are a function of slot input and position.</summary>
/// <remarks>
/// For load tests and for planning beyond one machine. Steps run one after the other, as on one stream: a step starts when it
/// is submitted or when the one before it ends, whichever is later. Waiting is left to the <see cref="TimeProvider"/>, so a
/// simulated clock makes it exact and a system clock as good as its timers. The token of a row mixes the row's first known
/// prompt token with its position: equal requests get equal answers, whatever runs beside them.
/// Thread: engine thread only.
/// </remarks>
public sealed class SimulatedExecutor : IStepExecutor
{
    // More than a running clock moves between two readings, unless the thread was held up; then the timer is set anew.
    private static readonly TimeSpan StaleReading = TimeSpan.FromMicroseconds(100);

    private readonly TimeProvider _time;
    private readonly SimulatedCost _cost;
    private readonly Queue<(StepPlan Plan, DateTimeOffset End)> _inFlight = new();
    private readonly ManualResetEventSlim _due = new(false);
    private readonly ITimer _timer;
    private readonly StepResult _result;
    private readonly uint[] _slotKeys;
    private DateTimeOffset _deviceFree;

    /// <summary>Makes a device of the given sizes and cost.</summary>
    /// <param name="geometry">Sizes.</param>
    /// <param name="cost">What a step takes.</param>
    /// <param name="time">The clock it is measured on.</param>
    /// <param name="depth">Steps that may be in flight.</param>
    public SimulatedExecutor(ExecutorGeometry geometry, SimulatedCost cost, TimeProvider time, int depth = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        Geometry = geometry;
        Depth = depth;
        _cost = cost;
        _time = time;
        _timer = time.CreateTimer(
            static due => ((ManualResetEventSlim)due!).Set(), _due, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _result = new StepResult(geometry);
        _slotKeys = new uint[geometry.MaxSequences];
        _deviceFree = DateTimeOffset.MinValue;
    }

    /// <inheritdoc />
    public ExecutorGeometry Geometry { get; }

    /// <inheritdoc />
    public int Depth { get; }

    /// <summary>When the device will have done everything submitted so far.</summary>
    public DateTimeOffset BusyUntil => _deviceFree;

    /// <inheritdoc />
    public void Submit(StepPlan plan)
    {
        if (_inFlight.Count == Depth)
        {
            throw new InvalidOperationException($"more than {Depth} steps are in flight");
        }

        var now = _time.GetUtcNow();
        _deviceFree = (now > _deviceFree ? now : _deviceFree) + CostOf(plan);
        _inFlight.Enqueue((plan, _deviceFree));
    }

    /// <inheritdoc />
    public StepResult Collect()
    {
        if (!_inFlight.TryDequeue(out var oldest))
        {
            throw new InvalidOperationException("no step is in flight");
        }

        WaitUntil(oldest.End);
        var plan = oldest.Plan;
        for (var i = 0; i < plan.NewSlotCount; i++)
        {
            _slotKeys[plan.NewSlots[i].Slot] = (uint)plan.NewSlots[i].TokenIds.Span[0];
        }

        _result.StepId = plan.StepId;
        _result.SequenceCount = plan.SequenceCount;
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            var end = plan.FirstPositions[row] + plan.TokenStarts[row + 1] - plan.TokenStarts[row];
            _result.TopCounts[row] = 0;
            _result.Logprobs[row] = 0;
            _result.TokenIds[row] = plan.Samples[row] ? TokenAt(_slotKeys[plan.Slots[row]], end) : StepResult.NoToken;
        }

        for (var i = 0; i < plan.ScoredCount; i++)
        {
            _result.Scored.Ranks[i] = 1;
        }

        return _result;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _timer.Dispose();
        _due.Dispose();
    }

    private TimeSpan CostOf(StepPlan plan)
    {
        long cached = 0;
        for (var row = 0; row < plan.SequenceCount; row++)
        {
            cached += plan.FirstPositions[row];
        }

        return _cost.PerStep + (_cost.PerToken * plan.TokenCount) + (_cost.PerCachedToken * cached);
    }

    private int TokenAt(uint key, int position)
    {
        var mixed = ((ulong)key << 32 | (uint)position) * 0x9e3779b97f4a7c15UL;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9UL;
        return (int)((mixed ^ (mixed >> 31)) % (uint)Geometry.VocabularySize);
    }

    private void WaitUntil(DateTimeOffset end)
    {
        for (var left = end - _time.GetUtcNow(); left > TimeSpan.Zero; left = end - _time.GetUtcNow())
        {
            _due.Reset();
            _timer.Change(left, Timeout.InfiniteTimeSpan);
            // A simulated clock may have been set on between the reading and the timer, which then would come too late or never.
            if (left - (end - _time.GetUtcNow()) < StaleReading)
            {
                _due.Wait();
            }
        }
    }
}
