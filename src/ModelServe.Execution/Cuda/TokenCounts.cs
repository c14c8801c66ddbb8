using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>How often each token came in each slot, on the device: what penalties are computed from.</summary>
/// <remarks>
/// Outputs are counted by the step that samples them, so the host need not know them. Prompts are counted when a sequence with
/// penalties takes a slot, through a pinned list that is not written again before it was copied. Thread: the engine's.
/// </remarks>
internal sealed unsafe class TokenCounts : IDisposable
{
    private const int Reset = 2;
    private const int Prompt = 1;
    private const int Output = 0;
    private readonly KernelDevice _device;
    private readonly KernelStream _stream;
    private readonly KernelLauncher _launcher;
    private readonly KernelEvent _copied;
    private readonly int* _host;
    private readonly int* _items;
    private readonly int _maxItems;
    private readonly int _vocabulary;
    private bool _copying;

    /// <summary>Takes the memory for a model's slots.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public TokenCounts(KernelDevice device, KernelStream stream, IDeviceMemory memory, ExecutorGeometry geometry)
    {
        (_device, _stream) = (device, stream);
        _launcher = new KernelLauncher(device, stream);
        _vocabulary = geometry.VocabularySize;
        _maxItems = geometry.MaxModelLength + 1;
        Counts = (ushort*)memory.Take(CountBytes(geometry), "token counts");
        _items = (int*)memory.Take(ItemBytes(geometry), "tokens to count");
        _host = (int*)device.AllocatePinned(ItemBytes(geometry));
        _copied = new KernelEvent(device);
    }

    /// <summary>[slot, token].</summary>
    public ushort* Counts { get; }

    /// <summary>Bytes that it takes of the device.</summary>
    public static long BytesFor(ExecutorGeometry geometry) => CountBytes(geometry) + ItemBytes(geometry);

    /// <summary>A sequence with penalties takes a slot.</summary>
    public void Assign(in SlotAssignment assignment)
    {
        if (_copying)
        {
            _copied.Synchronize();
        }

        var slots = _host;
        var tokens = _host + _maxItems;
        var modes = _host + (2 * _maxItems);
        (slots[0], tokens[0], modes[0]) = (assignment.Slot, -1, Reset);
        var ids = assignment.TokenIds.Span;
        for (var i = 0; i < ids.Length; i++)
        {
            slots[i + 1] = assignment.Slot;
            tokens[i + 1] = ids[i];
            modes[i + 1] = i < assignment.PromptLength ? Prompt : Output;
        }

        _stream.CopyToDevice(_items, _host, 3L * _maxItems * sizeof(int));
        _copied.Record(_stream);
        _copying = true;
        Launch(_items, _items + _maxItems, _items + (2 * _maxItems), ids.Length + 1);
    }

    /// <summary>Counts the tokens of a step.</summary>
    /// <param name="slots">[row] slot, or −1 where the token is not counted; on the device.</param>
    /// <param name="tokens">[row] token; on the device.</param>
    /// <param name="rows">Rows.</param>
    public void Record(int* slots, int* tokens, int rows) => Launch(slots, tokens, null, rows);

    /// <inheritdoc />
    public void Dispose()
    {
        _device.FreePinned(_host);
        _copied.Dispose();
    }

    // A multiple of four bytes, as the kernel's atomics work on words.
    private static long CountBytes(ExecutorGeometry geometry) =>
        ((((long)geometry.MaxSequences * geometry.VocabularySize) + 1) / 2 * 2) * sizeof(ushort);

    private static long ItemBytes(ExecutorGeometry geometry) => 3L * (geometry.MaxModelLength + 1) * sizeof(int);

    private void Launch(int* slots, int* tokens, int* modes, int count)
    {
        var arguments = CountTokensArguments.Create();
        arguments.NItems = count;
        arguments.Vocab = _vocabulary;
        arguments.Slot = slots;
        arguments.Token = tokens;
        arguments.Mode = modes;
        arguments.Counts = Counts;
        _launcher.CountTokens(arguments);
    }
}
