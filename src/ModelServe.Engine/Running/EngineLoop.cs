using System.Diagnostics;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Runs one model for many requests: takes them in, plans steps, drives the executor and streams its tokens.</summary>
/// <remarks>
/// One thread owns everything that planning needs; the others reach it through an inbox and through their own streams. With
/// an executor of depth 2 a step is planned before the tokens of the one before are known.
/// The executor stays the caller's, who disposes it after the engine.
/// </remarks>
public sealed class EngineLoop : IEngine, IDisposable
{
    private readonly IStepExecutor _executor;
    private readonly EngineOptions _options;
    private readonly TimeProvider _time;
    private readonly RestCheck _rest;
    private readonly AdmissionDesk _desk;
    private readonly QueueRate _queueRate;
    private readonly LiveRequests _live;
    private readonly Inbox _inbox = new();
    private readonly StepCustody _custody;
    private readonly ReaderWakes _wakes = new();
    private readonly EngineCounters _counters = new();
    private readonly StepPlanner _planner;
    private readonly StepSettlement _settlement;
    private readonly RequestEndings _endings;
    private readonly CommandIntake _intake;
    private readonly OrderDesk _orders;
    private readonly StepPipeline _pipeline;
    private readonly Collapse _collapse;
    private readonly TaskCompletionSource<WarmUpReport> _warmedUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Thread? _thread;
    private DateTimeOffset _now;
    private int _stopped;

    /// <summary>Makes an engine over an executor; nothing runs before <see cref="Start"/>.</summary>
    /// <param name="executor">Runs the model.</param>
    /// <param name="options">Limits.</param>
    /// <param name="time">The clock of deadlines and timings.</param>
    /// <param name="reportHealing">Told on the engine thread what was wrong when slots and blocks had to be rebuilt.</param>
    /// <exception cref="ArgumentException">An option or a size is out of range.</exception>
    public EngineLoop(IStepExecutor executor, EngineOptions options, TimeProvider time, Action<string>? reportHealing = null)
        : this(executor, options, time, reportHealing, new StepTimes(), new StepCustody())
    {
    }

    private EngineLoop(
        IStepExecutor executor, EngineOptions options, TimeProvider time, Action<string>? reportHealing, StepTimes times, StepCustody custody)
    {
        (_options, _custody) = (options, custody);
        options.Validate(executor.Geometry);
        _executor = executor;
        _time = time;
        _live = new LiveRequests(options);
        _desk = new AdmissionDesk(executor.Geometry, _live, _inbox, _queueRate = new QueueRate(time), time);
        _planner = new StepPlanner(executor.Geometry, options, _counters, times);
        _settlement = new StepSettlement(executor.Geometry, _planner, _counters);
        _rest = new RestCheck(_planner, _counters, options.CheckWhenIdle, reportHealing);
        _endings = new RequestEndings(_planner, _live);
        _intake = new CommandIntake(_inbox, _planner, _live, _endings, _counters);
        _orders = new OrderDesk(_inbox, _planner);
        _pipeline = new StepPipeline(executor, _custody, _planner, _settlement, _counters, time);
        _collapse = new Collapse(_planner, _pipeline, _live, _endings, _intake, _orders, _counters);
        _counters.LastProgressTicks = time.GetUtcNow().UtcTicks;
    }

    /// <inheritdoc />
    public ExecutorGeometry Geometry => _executor.Geometry;

    /// <inheritdoc />
    public EngineStatus Status => EngineStatus.Of(_planner, _live, _counters, Geometry);

    /// <inheritdoc />
    public KvEventLog? KvEvents => _planner.Ledger.Events;

    /// <inheritdoc />
    public Task Drained => _live.Drained;

    /// <summary>Complete once the engine takes requests: what it did to warm up. Never where a step of it was given up.</summary>
    public Task<WarmUpReport> WarmedUp => _warmedUp.Task;

    /// <summary>Whether a step was given up, so that the executor may still be busy with it.</summary>
    public bool HasLostStep => _custody.IsTaken;

    /// <summary>Planner state, for tests and benchmarks.</summary>
    internal StepPlanner Planner => _planner;

    /// <summary>Creates the engine thread and lets it run; once.</summary>
    /// <param name="name">Name of the thread.</param>
    /// <param name="warmUp">How long it first answers made-up requests; zero for none. Requests admitted meanwhile wait.</param>
    public void Start(string name = "modelserve engine", TimeSpan warmUp = default)
    {
        if (_thread is not null)
        {
            throw new InvalidOperationException("the engine has been started");
        }

        _thread = new Thread(() => Run(warmUp)) { Name = name, IsBackground = true };
        _thread.Start();
    }

    /// <inheritdoc />
    public AdmissionResult Admit(GenerationRequest request)
    {
        var result = _desk.Admit(request);
        EndUnheardArrivals();
        return result;
    }

    /// <inheritdoc />
    public Rejection? AdmitAll(ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams)
    {
        var rejection = _desk.AdmitAll(requests, streams);
        EndUnheardArrivals();
        return rejection;
    }

    /// <inheritdoc />
    public bool Abort(string requestId, FinishReason reason)
    {
        var sequence = _live.Find(requestId);
        sequence?.Stream.Cancel(reason);
        return sequence is not null;
    }

    /// <inheritdoc />
    public bool IsLive(string requestId) => _live.Find(requestId) is not null;

    /// <inheritdoc />
    public bool GiveUpStep(string reason)
    {
        if (!_custody.TryTake())
        {
            return false;
        }

        _collapse.Fail(new ExecutorFailedException(reason), _now);
        _intake.EndArrivals(_time.GetUtcNow());
        _orders.CompleteRest();
        return true;
    }

    /// <inheritdoc />
    public void BeginDrain() => _live.BeginDrain();

    /// <inheritdoc />
    public async Task<bool> PauseAsync(PauseMode mode, CancellationToken cancellationToken) => await OrderAsync(EngineOrder.Pause(mode), cancellationToken) == 1;

    /// <inheritdoc />
    public Task<int> FlushPrefixCacheAsync(CancellationToken cancellationToken) => OrderAsync(EngineOrder.Flush(), cancellationToken);

    /// <summary>Refuses new requests and waits until those admitted have ended.</summary>
    public Task DrainAsync(CancellationToken cancellationToken)
    {
        BeginDrain();
        return Drained.WaitAsync(cancellationToken);
    }

    /// <inheritdoc />
    public void EndAll(FinishReason reason)
    {
        foreach (var sequence in _live.All)
        {
            sequence.Stream.Cancel(reason);
        }
    }

    /// <summary>Refuses new requests, stops after the steps in flight, and ends what is live as drained.</summary>
    /// <remarks>Waits for the executor to return the steps in flight, unless one was given up.</remarks>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        BeginDrain();
        _inbox.Ring();
        if (!_custody.IsTaken)
        {
            _thread?.Join();
            Stop();
        }

        _inbox.Dispose();
    }

    /// <summary>Runs one round of the engine; for tests, in place of the thread.</summary>
    /// <returns>Whether there is more to do without news from outside.</returns>
    internal bool RunStep()
    {
        try
        {
            TakeCommands();
            var planned = Plan() && Submit();
            if (_pipeline.IsFull || (!planned && _pipeline.InFlight > 0))
            {
                Settle(_pipeline.Collect());
                Publish();
            }
            else if (!planned)
            {
                _rest.Look(StandsStill || _live.Failure is not null);
            }
        }
        catch (ExecutorExhaustedException exception) when (_live.Failure is null)
        {
            _collapse.ComputeAgain(exception, _now);
        }
        catch (Exception exception) when (exception is not StepGivenUpException && _live.Failure is null)
        {
            _collapse.Fail(exception, _now);
        }

        _orders.CompleteIfStill(_pipeline.InFlight);
        // A standstill ends by news from outside or by a deadline.
        return _pipeline.InFlight > 0 || (_live.Count > 0 && !StandsStill);
    }

    private void EndUnheardArrivals()
    {
        if (Volatile.Read(ref _stopped) != 0 || (_custody.IsTaken && _live.Failure is not null))
        {
            // The engine thread may have looked for the last time before these arrived.
            _intake.EndArrivals(_time.GetUtcNow());
        }
    }

    private bool StandsStill => _planner.Pause == PauseMode.Keep || (_planner.Pause == PauseMode.Wait && _planner.Running.Count == 0);

    private Task<int> OrderAsync(EngineOrder order, CancellationToken cancellationToken)
    {
        _inbox.AddOrder(order);
        if (Volatile.Read(ref _stopped) != 0 || _custody.IsTaken)
        {
            // The engine thread may have looked for the last time before this one arrived.
            _orders.CompleteRest();
        }

        return order.Done.WaitAsync(cancellationToken);
    }

    private void Run(TimeSpan warmUp)
    {
        try
        {
            WarmUpFor(warmUp);
            while (Volatile.Read(ref _stopped) == 0)
            {
                if (!RunStep() || _live.Failure is not null)
                {
                    _inbox.WaitForNews(_intake.UntilNextDeadline(_time.GetUtcNow()));
                }
            }
        }
        catch (StepGivenUpException)
        {
            // Whoever gave the step up has ended every request; this thread has nothing left that is its own.
        }
    }

    private void WarmUpFor(TimeSpan limit)
    {
        var report = new WarmUpReport(0, TimeSpan.Zero, null);
        if (limit > TimeSpan.Zero)
        {
            var options = _options with { EnablePrefixCaching = false, KvEventCapacity = 0 };

            // One custody: whoever gives this engine's step up gives up one of the warm-up as well.
            using var apart = new EngineLoop(_executor, options, _time, reportHealing: null, _planner.Portions.Times, _custody);
            report = WarmUp.Run(apart, limit, _time, () => Volatile.Read(ref _stopped) != 0);
            if (report.Failure is { } failure)
            {
                _collapse.Fail(new ExecutorFailedException(failure), _time.GetUtcNow());
            }
        }

        _warmedUp.SetResult(report);
    }

    private void TakeCommands()
    {
        _now = _time.GetUtcNow();
        if (_pipeline.InFlight == 0)
        {
            // Before anything runs again that others can see: else it would look for a moment as if it had stood still since the last step.
            _counters.LastProgressTicks = _now.UtcTicks;
        }

        if (KvEvents is { } events)
        {
            events.NowTicks = _now.UtcTicks;
        }

        _orders.Take();
        _intake.Take(_now);
    }

    private bool Plan() => _live.Failure is null && _pipeline.Plan(_now);

    private bool Submit()
    {
        _pipeline.Submit();
        _rest.Over();
        return true;
    }

    private void Settle(StepResult result)
    {
        _now = _time.GetUtcNow();
        _pipeline.Settle(result, _now);
        _queueRate.Observe(_counters.DispatchedPromptTokens, _planner.Waiting.Count > 0);
        _collapse.Over();
    }

    private void Publish()
    {
        _wakes.Begin();
        try
        {
            for (var next = 0; _settlement.TryTakeNews(ref next, out var sequence, out var reason, out var error);)
            {
                if (reason == FinishReason.None)
                {
                    sequence.Stream.Publish(_wakes);
                }
                else
                {
                    _endings.End(sequence, reason, error, _now);
                }
            }
        }
        finally
        {
            // Also those before one that failed: their waits are over, and nobody else runs them on.
            _wakes.Send();
        }

        AssertInvariants();
    }

    private void Stop()
    {
        try
        {
            while (_pipeline.InFlight > 0)
            {
                Settle(_pipeline.Collect());
                Publish();
            }
        }
        catch (ExecutorExhaustedException)
        {
            // Its steps are dropped; what ran ends below, as all does.
            _pipeline.Drop();
        }
        catch (Exception exception) when (_live.Failure is null)
        {
            _collapse.Fail(exception, _now);
        }

        _collapse.Stop(_time.GetUtcNow());
    }

    [Conditional("DEBUG")]
    private void AssertInvariants() => CheckInvariants();

    /// <summary>Checks everything that must hold between two steps.</summary>
    /// <exception cref="InvalidOperationException">Something does not; the message says what.</exception>
    internal void CheckInvariants()
    {
        if (_live.Failure is null && PlannerInvariants.FindViolation(_planner, Geometry) is { } violation)
        {
            throw new InvalidOperationException($"after step {_pipeline.LastStepId}: {violation}");
        }
    }
}
