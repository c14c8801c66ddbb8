using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>Runs plans on a GPU, one step ahead: a step is submitted before the tokens of the one before are known to the host.</summary>
/// <remarks>
/// One stream orders everything. A step of single tokens is one transfer, two graphs (forward, sampling) and one transfer back; a
/// step that feeds chunks launches its operations one by one. Tokens that the host does not know yet are read on the device.
/// Nothing is allocated in a step, but for a batch size that is met for the first time, whose graphs are captured then; where the
/// device has no memory for them, steps of that size run their operations one by one, and the capture is tried again later.
/// Thread: the engine's.
/// </remarks>
internal sealed unsafe class CudaStepExecutor : IStepExecutor
{
    private readonly CudaResources _resources;
    private readonly KernelStream _stream;
    private readonly CausalDecoder _model;
    private readonly DeviceSampler _sampler;
    private readonly DeviceScorer _scorer;
    private readonly DeviceStep _step;
    private readonly DecodeGraphs _graphs;
    private readonly bool _useGraphs;
    private readonly DecodeWorkPlanner _mixedWork;
    private readonly StepImage _mixedLayout;
    private readonly StepWriter _writer;
    private readonly StepOrder _order;
    private readonly StepBatch _batch;
    private readonly BlockTableMirror _mirror;
    private readonly SlotSampling[] _slots;
    private readonly long[] _tenancies;
    private readonly StepFlight[] _flights;
    private readonly KernelEvent _forward;
    private readonly StepResult _result;
    private const long Nobody = -1;
    private long _departed;
    private long _arrived;

    /// <summary>An executor over parts that outlive it.</summary>
    /// <param name="resources">The model and its device.</param>
    /// <param name="depth">Steps in flight, 1 or 2.</param>
    /// <param name="useGraphs">Whether decode steps are captured.</param>
    /// <param name="report">Told what an operator should know of later steps.</param>
    /// <exception cref="KernelException">The library refused something of a first, empty step.</exception>
    public CudaStepExecutor(CudaResources resources, int depth, bool useGraphs, Action<string>? report = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(depth, 1);
        _resources = resources;
        Geometry = resources.Geometry;
        Depth = depth;
        (_stream, _model, _step) = (resources.Stream, resources.Model, resources.Step);
        (_sampler, _scorer) = (resources.Sampler, resources.Scorer);
        _slots = resources.Slots;
        _tenancies = new long[_slots.Length];
        _useGraphs = useGraphs;
        _mirror = new BlockTableMirror(Geometry);
        _order = new StepOrder(Geometry);
        _batch = new StepBatch(Geometry);
        _result = new StepResult(Geometry);
        _writer = new StepWriter(Geometry, resources.TileTokens, resources.Window, _mirror, _slots);
        _mixedWork = resources.PlanWork(Geometry.MaxSequences);
        _mixedLayout = resources.MixedLayout;
        _graphs = new DecodeGraphs(
            _stream,
            GraphBuckets.For(Geometry.MaxSequences),
            rows => new DecodeGraph(rows, resources.PlanWork(rows)),
            () => _model.Forward(_batch),
            () => _sampler.Sample(_model.Logits),
            report);
        _forward = new KernelEvent(resources.Device);
        _flights = new StepFlight[depth + 1];
        for (var i = 0; i < _flights.Length; i++)
        {
            _flights[i] = new StepFlight(resources.Device, Geometry, resources.ImageBytes, _scorer.StepBytes);
        }

        foreach (var rows in GraphBuckets.UpTo(Math.Min(GraphsAtStart, Geometry.MaxSequences)))
        {
            Graph(rows);
        }
    }

    /// <summary>Batch sizes up to this are captured when the executor is made; larger ones when they first occur.</summary>
    public const int GraphsAtStart = 16;

    /// <inheritdoc />
    public ExecutorGeometry Geometry { get; }

    /// <inheritdoc />
    public int Depth { get; }

    /// <summary>The device that runs the steps.</summary>
    public KernelDevice Device => _resources.Device;

    /// <summary>Steps that ran as graphs.</summary>
    public long GraphSteps { get; private set; }

    /// <summary>Batch sizes whose graphs have been captured so far, ascending.</summary>
    public IEnumerable<int> CapturedRows => _graphs.CapturedRows;

    /// <summary>Bytes that the last step brought to the device.</summary>
    public int LastUploadBytes { get; private set; }

    /// <inheritdoc />
    public void Submit(StepPlan plan)
    {
        if (_departed - _arrived == Depth)
        {
            throw new InvalidOperationException($"a step is submitted only while fewer than {Depth} are in flight");
        }

        try
        {
            Run(plan);
        }
        catch (KernelException exception) when (exception.Status == KernelStatus.OutOfMemory)
        {
            Abandon(plan.StepId);
            throw new ExecutorExhaustedException($"step {plan.StepId}: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is KernelException or InvalidOperationException)
        {
            throw new ExecutorFailedException($"step {plan.StepId}: {exception.Message}", exception);
        }
    }

    /// <inheritdoc />
    public StepResult Collect()
    {
        if (_departed == _arrived)
        {
            throw new InvalidOperationException("a step is collected only after it was submitted");
        }

        var flight = _flights[_arrived++ % _flights.Length];
        try
        {
            flight.Arrive();
        }
        catch (KernelException exception)
        {
            throw new ExecutorFailedException($"step {flight.StepId}: {exception.Message}", exception);
        }

        Record(flight);
        _sampler.Read(flight, _result);
        if (flight.Scored > 0)
        {
            _scorer.Read(flight, _result);
        }

        return _result;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _graphs.Dispose();
        foreach (var flight in _flights)
        {
            flight.Dispose();
        }

        _forward.Dispose();
    }

    /// <summary>Waits for what was launched and drops every step in flight: the engine computes their sequences again, in slots of their own.</summary>
    private void Abandon(long stepId)
    {
        try
        {
            _stream.Synchronize();
            foreach (var flight in _flights)
            {
                flight.Arrive();
            }
        }
        catch (KernelException exception)
        {
            throw new ExecutorFailedException($"step {stepId}: {exception.Message}", exception);
        }

        _arrived = _departed;
    }

    private void Run(StepPlan plan)
    {
        for (var i = 0; i < plan.NewSlotCount; i++)
        {
            ref readonly var assignment = ref plan.NewSlots[i];
            _slots[assignment.Slot].Assign(assignment, 0);
            _tenancies[assignment.Slot]++;
            _mirror.Reset(assignment.Slot);
            _sampler.Assign(assignment);
        }

        _order.Arrange(plan);
        var flight = _flights[_departed % _flights.Length];
        flight.Arrive();
        Array.Clear(flight.IsPostponed);
        var deltas = _writer.Deltas(plan, _order);
        if (_order.IsDecode && deltas <= Graph(GraphBuckets.For(_order.Rows)).Layout.Deltas)
        {
            Decode(plan, flight, Graph(GraphBuckets.For(_order.Rows)));
        }
        else
        {
            Mixed(plan, flight, deltas);
        }

        flight.IsRecorded = false;
        flight.StepId = plan.StepId;
        flight.SequenceCount = plan.SequenceCount;
        flight.Sampled = _order.Sampled;
        flight.Scored = plan.ScoredCount;
        for (var row = 0; row < _order.Sampled; row++)
        {
            flight.Sequences[row] = _order.SampledSequence(row);
            flight.Slots[row] = plan.Slots[_order.SampledSequence(row)];
            flight.Tenancies[row] = flight.IsPostponed[row] ? Nobody : _tenancies[flight.Slots[row]];
        }

        _sampler.Download(flight);
        flight.Depart(_stream);
        _departed++;
    }

    private void Decode(StepPlan plan, StepFlight flight, DecodeGraph graph)
    {
        _writer.Write(plan, _order, graph.Work, graph.Layout, flight.Image);
        Upload(flight.Image, graph.Layout.Bytes);
        Bound(graph);
        if (_graphs.Launch(graph, graph.Forward, _departed))
        {
            GraphSteps++;
        }
        else
        {
            _model.Forward(_batch);
        }

        flight.HasLogprobs = false;
        if (_sampler.IsSpecial(plan, _order))
        {
            SampleSpecial(plan, _model.Logits, flight);
        }
        else if (!_graphs.Launch(graph, graph.Sample, _departed))
        {
            _sampler.Sample(_model.Logits);
        }
    }

    private void Mixed(StepPlan plan, StepFlight flight, int deltas)
    {
        for (; deltas > _mixedLayout.Deltas; deltas -= _mixedLayout.Deltas)
        {
            // Long cached prefixes: their block tables go ahead of the step, an image at a time.
            _writer.WriteDeltas(plan, _order, _mixedLayout, flight.Image);
            Upload(flight.Image, _mixedLayout.UsedBytes(0));
            BoundTo(_mixedLayout, 1, 1, 0, _mixedLayout.Deltas);
            _resources.Ops.BeginStep(_batch);
            flight.Depart(_stream);
            flight.Arrive();
        }

        _writer.Write(plan, _order, _mixedWork, _mixedLayout, flight.Image);
        Upload(flight.Image, _mixedLayout.UsedBytes(_order.Tokens));
        BoundTo(_mixedLayout, _order.Rows, _order.Tokens, _order.Sampled, deltas, plan.ScoredCount);
        if (plan.ScoredCount > 0)
        {
            _scorer.Begin(plan, _order, _writer, flight);
        }

        _step.DecodeRows = _order.Singles;
        _step.Items = _mixedWork.Count;
        _step.Tiles = ((int*)flight.Image)[6];
        var logits = _model.Forward(_batch, _scorer);
        flight.HasLogprobs = false;
        if (_order.Sampled == 0)
        {
            return;
        }

        if (_sampler.IsSpecial(plan, _order))
        {
            SampleSpecial(plan, logits, flight);
        }
        else
        {
            _sampler.Sample(logits);
        }
    }

    private void SampleSpecial(StepPlan plan, Activation logits, StepFlight flight)
    {
        if (_sampler.IsConstrained(plan, _order))
        {
            // The forward pass runs meanwhile: a mask needs the tokens of the step before, not of this one.
            _forward.Record(_stream);
            for (var step = _arrived; step < _departed; step++)
            {
                var earlier = _flights[step % _flights.Length];
                earlier.Arrive();
                Record(earlier);
            }

            AwaitMasks(plan, flight);
        }

        _sampler.SampleSpecial(plan, _order, logits, flight);
    }

    /// <summary>Waits for the masks of the rows while the device works; marks those that a later step has to choose, and those planned on such a one.</summary>
    private void AwaitMasks(StepPlan plan, StepFlight flight)
    {
        var wait = default(MaskWait);
        for (var row = 0; row < _order.Sampled; row++)
        {
            var sequence = _order.SampledSequence(row);
            var slot = _slots[plan.Slots[sequence]];
            var isVoid = slot.IsPostponed && plan.TokenIds[plan.TokenStarts[sequence + 1] - 1] == StepPlan.LastSampledToken;
            slot.IsPostponed = isVoid || !wait.IsOver(slot, _forward);
            flight.IsPostponed[row] = slot.IsPostponed;
        }
    }

    /// <summary>Tells the slots which tokens they got, unless another sequence has taken the slot since.</summary>
    private void Record(StepFlight flight)
    {
        if (flight.IsRecorded)
        {
            return;
        }

        flight.IsRecorded = true;
        for (var row = 0; row < flight.Sampled; row++)
        {
            var token = ((int*)flight.Results)[row];
            if (token >= 0 && _tenancies[flight.Slots[row]] == flight.Tenancies[row])
            {
                _slots[flight.Slots[row]].Record(token);
            }
        }
    }

    private void Upload(byte* image, int bytes)
    {
        _stream.CopyToDevice(_resources.Image, image, bytes);
        LastUploadBytes = bytes;
    }

    /// <summary>The graph of a bucket; captured when it is asked for the first time, and where that found no memory, a good while later.</summary>
    private DecodeGraph Graph(int rows)
    {
        var graph = _graphs.Of(rows);
        if (_useGraphs && DecodeGraphs.IsDue(graph, _departed))
        {
            _stream.Fill(_resources.Image, 0, graph.Layout.Bytes);
            Bound(graph);
            _graphs.Capture(graph, _departed);
        }

        return graph;
    }

    private void Bound(DecodeGraph graph)
    {
        BoundTo(graph.Layout, graph.Rows, graph.Rows, graph.Rows, graph.Layout.Deltas);
        _step.DecodeRows = graph.Rows;
        _step.Items = graph.Layout.Items;
        _step.Tiles = 0;
    }

    private void BoundTo(StepImage layout, int rows, int tokens, int sampled, int deltas, int scored = 0)
    {
        _step.Layout = layout;
        (_step.Rows, _step.Tokens, _step.Sampled, _step.Deltas) = (rows, tokens, sampled, deltas);
        _batch.SetBounds(tokens, rows, sampled, scored);
    }
}
