using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>Chooses the tokens of a step on the device.</summary>
/// <remarks>
/// Plain rows (temperature, top-k, top-p, min-p, or greedy) need nothing but the step's image, so their launch can be captured.
/// A step with biases, penalties or log probabilities takes a longer way, eagerly: raw logits are kept, then changed in place, then
/// sampled, then counted, then ranked. Rows without these pass through it unchanged. Thread: the engine's.
/// </remarks>
internal sealed unsafe class DeviceSampler : IDisposable
{
    private readonly KernelStream _stream;
    private readonly KernelLauncher _launcher;
    private readonly DeviceState _state;
    private readonly DeviceStep _step;
    private readonly SlotSampling[] _slots;
    private readonly LogitRules _rules;
    private readonly TokenCounts _counts;
    private readonly SampleResults _layout;
    private readonly byte* _results;
    private readonly float* _raw;

    /// <summary>A sampler over logits that <paramref name="shape"/> bounds.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public DeviceSampler(
        KernelDevice device,
        KernelStream stream,
        IDeviceMemory memory,
        ExecutorGeometry geometry,
        OpsShape shape,
        DeviceState state,
        DeviceStep step,
        SlotSampling[] slots)
    {
        (_stream, _state, _step, _slots) = (stream, state, step, slots);
        _launcher = new KernelLauncher(device, stream);
        _layout = new SampleResults(geometry);
        _results = memory.Take(_layout.Bytes, "sampling results");
        _raw = (float*)memory.Take((long)shape.MaxSequences * shape.VocabularySize * sizeof(float), "raw logits");
        _rules = new LogitRules(device, memory, geometry);
        _counts = new TokenCounts(device, stream, memory, geometry);
    }

    /// <summary>Bytes that it takes of the device.</summary>
    public static long BytesFor(ExecutorGeometry geometry, OpsShape shape) =>
        SampleResults.BytesFor(geometry) + ((long)shape.MaxSequences * shape.VocabularySize * sizeof(float)) +
        LogitRules.BytesFor(geometry) + TokenCounts.BytesFor(geometry);

    /// <summary>A sequence enters a slot, whose options have been set.</summary>
    public void Assign(in SlotAssignment assignment)
    {
        if (assignment.Sampling.HasPenalties)
        {
            _counts.Assign(assignment);
        }
    }

    /// <summary>Whether a step needs the long way.</summary>
    public bool IsSpecial(StepPlan plan, StepOrder order)
    {
        for (var row = 0; row < order.Sampled; row++)
        {
            var slot = _slots[plan.Slots[order.SampledSequence(row)]];
            if (slot.ChangesLogits || slot.Options.TopLogprobs is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a row's next token depends on all tokens before it being known to the host.</summary>
    public bool IsConstrained(StepPlan plan, StepOrder order)
    {
        for (var row = 0; row < order.Sampled; row++)
        {
            if (_slots[plan.Slots[order.SampledSequence(row)]].Options.Constraint is not null)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Launches the choice of every sampled row's token.</summary>
    public void Sample(Activation logits)
    {
        var arguments = SampleArguments.Create();
        arguments.NRows = _step.Sampled;
        arguments.Vocab = logits.Columns;
        arguments.Count = _step.SampledCount;
        arguments.Logits = logits.Data;
        arguments.Rows = (SampleRow*)_step.At(_step.Layout.Rules);
        arguments.Tokens = (int*)_results;
        arguments.LastToken = _state.LastTokens;
        _launcher.Sample(arguments);
    }

    /// <summary>Launches the long way.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="order">Its order.</param>
    /// <param name="logits">The logits; changed.</param>
    /// <param name="flight">Knows which rows are postponed; told whether log probabilities come back.</param>
    public void SampleSpecial(StepPlan plan, StepOrder order, Activation logits, StepFlight flight)
    {
        _rules.Write(plan, order, _slots, flight);
        _rules.Upload(_stream);
        flight.HasLogprobs = _rules.WantsLogprobs;
        if (flight.HasLogprobs)
        {
            _stream.Copy(_raw, logits.Data, (long)order.Sampled * logits.Columns * sizeof(float));
        }

        if (_rules.ChangesLogits)
        {
            var fix = LogitsFixArguments.Create();
            fix.NRows = order.Sampled;
            fix.Vocab = logits.Columns;
            fix.RowFlags = _rules.RowFlags;
            fix.Slot = _rules.RowSlots;
            fix.Penalties = _rules.Penalties;
            fix.Counts = _counts.Counts;
            fix.BiasIndptr = _rules.BiasStarts;
            fix.BiasIds = _rules.BiasIds;
            fix.BiasValues = _rules.BiasValues;
            fix.Bitmask = _rules.Bitmask;
            fix.Logits = logits.Data;
            _launcher.LogitsFix(fix);
        }

        Sample(logits);
        if (_rules.CountsTokens)
        {
            _counts.Record(_rules.CountedSlots, (int*)_results, order.Sampled);
        }

        if (flight.HasLogprobs)
        {
            Rank(order.Sampled, logits.Columns);
        }
    }

    /// <summary>Copies the results of a step to its flight.</summary>
    public void Download(StepFlight flight)
    {
        var bytes = flight.HasLogprobs ? _layout.Bytes : flight.Sampled * sizeof(int);
        if (bytes > 0)
        {
            _stream.CopyToHost(flight.Results, _results, bytes);
        }
    }

    /// <summary>Reads the results of a step that has arrived.</summary>
    public void Read(StepFlight flight, StepResult result)
    {
        result.StepId = flight.StepId;
        result.SequenceCount = flight.SequenceCount;
        result.TokenIds.AsSpan(0, flight.SequenceCount).Fill(StepResult.NoToken);
        result.TopCounts.AsSpan(0, flight.SequenceCount).Clear();
        var tokens = (int*)flight.Results;
        for (var row = 0; row < flight.Sampled; row++)
        {
            var sequence = flight.Sequences[row];

            if (flight.IsPostponed[row])
            {
                result.TokenIds[sequence] = StepResult.Postponed;
                continue;
            }

            // The kernel says −1 when no logit of the row was a finite number.
            result.TokenIds[sequence] = tokens[row] < 0 ? StepResult.Failed : tokens[row];
            result.Failures[sequence] = tokens[row] < 0 ? flight.Failures[row] : null;
            if (flight.HasLogprobs && tokens[row] >= 0)
            {
                ReadLogprobs(flight, row, result, sequence);
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _rules.Dispose();
        _counts.Dispose();
    }

    private void Rank(int rows, int vocabulary)
    {
        var arguments = TopLogprobsArguments.Create();
        arguments.NRows = rows;
        arguments.Vocab = vocabulary;
        arguments.MaxN = _layout.Top;
        arguments.Logits = _raw;
        arguments.Wanted = _rules.Wanted;
        arguments.Chosen = (int*)_results;
        arguments.Ids = (int*)(_results + _layout.TopIds);
        arguments.Logprobs = (float*)(_results + _layout.TopLogprobs);
        arguments.ChosenLogprob = (float*)(_results + _layout.Chosen);
        _launcher.TopLogprobs(arguments);
    }

    private void ReadLogprobs(StepFlight flight, int row, StepResult result, int sequence)
    {
        var count = flight.Wanted[row];
        if (count < 0)
        {
            return;
        }

        result.Logprobs[sequence] = ((float*)(flight.Results + _layout.Chosen))[row];
        count = Math.Min(count, result.TopStride);
        var start = row * _layout.Top;
        var target = sequence * result.TopStride;
        new Span<int>(flight.Results + _layout.TopIds, start + count)[start..].CopyTo(result.TopTokenIds.AsSpan(target));
        new Span<float>(flight.Results + _layout.TopLogprobs, start + count)[start..].CopyTo(result.TopLogprobs.AsSpan(target));

        // A vocabulary of fewer finite logits than asked for ends in −1.
        var ids = result.TopTokenIds.AsSpan(target, count);
        var end = ids.IndexOf(-1);
        result.TopCounts[sequence] = end < 0 ? count : end;
    }
}
