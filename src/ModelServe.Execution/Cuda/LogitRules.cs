using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Sampling;

namespace ModelServe.Execution.Cuda;

/// <summary>What changes the logits of a step's rows before a token is chosen, and which log probabilities are wanted of them.</summary>
/// <remarks>
/// Written on the host for each step that has any, copied to the device as one run of bytes; the pinned copy is not written again
/// before the transfer is over. Biases that do not fit wait for no room: a step is refused by name. Thread: the engine's.
/// </remarks>
internal sealed unsafe class LogitRules : IDisposable
{
    /// <summary>Biases that a step may carry for each of its rows, on average.</summary>
    private const int BiasesPerRow = 2048;
    private const int Penalised = 1;
    private const int Masked = 2;

    private readonly KernelDevice _device;
    private readonly KernelEvent _copied;
    private readonly byte* _host;
    private readonly byte* _block;
    private readonly uint* _hostMasks;
    private readonly int _maskWords;
    private readonly int _rows;
    private readonly int _biases;
    private bool _copying;
    private int _biasCount;

    private bool HasMasks { get; set; }

    private uint* Masks { get; }

    /// <summary>Takes the memory for a model's steps.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public LogitRules(KernelDevice device, IDeviceMemory memory, ExecutorGeometry geometry)
    {
        _device = device;
        _rows = geometry.MaxSequences;
        _biases = _rows * BiasesPerRow;
        _block = memory.Take(RuleBytes(geometry), "rules of logits");
        _host = (byte*)device.AllocatePinned(RuleBytes(geometry));
        _copied = new KernelEvent(device);
        _maskWords = MaskWords(geometry);
        var maskBytes = (long)_rows * _maskWords * sizeof(uint);
        Masks = (uint*)memory.Take(maskBytes, "masks of constraints");
        _hostMasks = (uint*)device.AllocatePinned(maskBytes);
    }

    /// <summary>Whether any row's logits are changed.</summary>
    public bool ChangesLogits { get; private set; }

    /// <summary>[row, word] a bit for each token that may come, on the device; null while no row is constrained.</summary>
    public uint* Bitmask => HasMasks ? Masks : null;

    /// <summary>Whether any row's token is counted.</summary>
    public bool CountsTokens { get; private set; }

    /// <summary>Whether any row wants log probabilities.</summary>
    public bool WantsLogprobs { get; private set; }

    /// <summary>[row] flags, on the device.</summary>
    public int* RowFlags => (int*)_block;

    /// <summary>[row] slot.</summary>
    public int* RowSlots => Place(_block, 1);

    /// <summary>[row] slot, or −1 where the token is not counted.</summary>
    public int* CountedSlots => Place(_block, 2);

    /// <summary>[row] alternatives wanted, or −1.</summary>
    public int* Wanted => Place(_block, 3);

    /// <summary>[row, 3] repetition, frequency, presence.</summary>
    public float* Penalties => (float*)Place(_block, 4);

    /// <summary>[row + 1] first bias.</summary>
    public int* BiasStarts => Place(_block, 7);

    /// <summary>[bias] id.</summary>
    public int* BiasIds => Place(_block, 8) + 1;

    /// <summary>[bias] value.</summary>
    public float* BiasValues => (float*)(BiasIds + _biases);

    /// <summary>Bytes that it takes of the device.</summary>
    public static long BytesFor(ExecutorGeometry geometry) =>
        RuleBytes(geometry) + ((long)geometry.MaxSequences * MaskWords(geometry) * sizeof(uint));

    /// <summary>Writes the rules of a step's sampled rows.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="order">Its order.</param>
    /// <param name="slots">[slot] options.</param>
    /// <param name="flight">Says which rows are postponed, whose rules are left out; receives the alternatives wanted and the constraints' failures.</param>
    /// <exception cref="InvalidOperationException">There are more biases than fit.</exception>
    public void Write(StepPlan plan, StepOrder order, SlotSampling[] slots, StepFlight flight)
    {
        if (_copying)
        {
            _copied.Synchronize();
            _copying = false;
        }

        ChangesLogits = CountsTokens = WantsLogprobs = HasMasks = false;
        _biasCount = 0;
        var starts = Place(_host, 7);
        starts[0] = 0;
        for (var row = 0; row < order.Sampled; row++)
        {
            var sequence = order.SampledSequence(row);
            var slot = plan.Slots[sequence];
            var position = plan.FirstPositions[sequence] + plan.TokenStarts[sequence + 1] - plan.TokenStarts[sequence];
            WriteRow(row, slot, slots[slot], position, flight);
            flight.Wanted[row] = flight.IsPostponed[row] ? -1 : slots[slot].Options.TopLogprobs ?? -1;
            Place(_host, 3)[row] = flight.Wanted[row];
            WantsLogprobs |= flight.Wanted[row] >= 0;
            starts[row + 1] = _biasCount;
        }
    }

    /// <summary>Copies what was written.</summary>
    public void Upload(KernelStream stream)
    {
        var bytes = ((8L * _rows) + 1 + _biases + _biasCount) * sizeof(int);
        stream.CopyToDevice(_block, _host, bytes);
        if (HasMasks)
        {
            stream.CopyToDevice(Masks, _hostMasks, (long)_rows * _maskWords * sizeof(uint));
        }

        _copied.Record(stream);
        _copying = true;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _device.FreePinned(_host);
        _device.FreePinned(_hostMasks);
        _copied.Dispose();
    }

    private void WriteRow(int row, int slot, SlotSampling sampling, int position, StepFlight flight)
    {
        var options = sampling.Options;
        flight.Failures[row] = null;
        if (flight.IsPostponed[row])
        {
            ((int*)_host)[row] = 0;
            Place(_host, 1)[row] = slot;
            Place(_host, 2)[row] = -1;
            ((float*)Place(_host, 4))[3 * row] = 1f;
            ((float*)Place(_host, 4))[(3 * row) + 1] = ((float*)Place(_host, 4))[(3 * row) + 2] = 0f;
            return;
        }

        var masked = sampling.TryFillMask(new Span<uint>(_hostMasks + ((long)row * _maskWords), _maskWords));
        HasMasks |= masked;
        flight.Failures[row] = masked ? sampling.Failure : null;
        ((int*)_host)[row] = (options.HasPenalties ? Penalised : 0) | (masked ? Masked : 0);
        Place(_host, 1)[row] = slot;
        Place(_host, 2)[row] = options.HasPenalties ? slot : -1;
        var penalties = (float*)Place(_host, 4) + (3 * row);
        (penalties[0], penalties[1], penalties[2]) = (options.RepetitionPenalty, options.FrequencyPenalty, options.PresencePenalty);
        CountsTokens |= options.HasPenalties;
        ChangesLogits |= sampling.ChangesLogits;
        for (var i = 0; i < options.LogitBias.Count; i++)
        {
            Add(options.LogitBias[i].TokenId, options.LogitBias[i].Bias);
        }

        if (position - sampling.PromptLength < options.MinTokens)
        {
            for (var i = 0; i < options.StopTokenIds.Count; i++)
            {
                Add(options.StopTokenIds[i], float.NegativeInfinity);
            }
        }
    }

    private static long RuleBytes(ExecutorGeometry geometry) =>
        ((8L * geometry.MaxSequences) + 1 + (2L * geometry.MaxSequences * BiasesPerRow)) * sizeof(int);

    private static int MaskWords(ExecutorGeometry geometry) => (geometry.VocabularySize + 31) / 32;

    private void Add(int id, float value)
    {
        if (_biasCount == _biases)
        {
            throw new InvalidOperationException($"logit biases of a step: at most {_biases}");
        }

        (Place(_host, 8) + 1)[_biasCount] = id;
        ((float*)(Place(_host, 8) + 1 + _biases))[_biasCount++] = value;
    }

    private int* Place(byte* start, int rows) => (int*)start + ((long)rows * _rows);
}
