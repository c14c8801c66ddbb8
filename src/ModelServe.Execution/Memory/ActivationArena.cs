using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>Holds the matrices that every step and layer reuse; laid out once, so that a step allocates nothing.</summary>
internal sealed unsafe class ActivationArena : IDisposable
{
    private const long Alignment = 64;
    private readonly NativeBuffer? _memory;
    private readonly byte* _start;
    private readonly long _bytes;
    private readonly ElementType _type;
    private long _used;

    /// <summary>An arena of that many bytes (the sum of <see cref="BytesFor"/> of what will be carved from it).</summary>
    public ActivationArena(long bytes)
    {
        _memory = new NativeBuffer(bytes);
        _start = _memory.Pointer;
        _bytes = bytes;
    }

    /// <summary>An arena in memory that another owns, of the host or of a device, whose matrices are of that type unless said otherwise.</summary>
    public ActivationArena(byte* start, long bytes, ElementType type)
    {
        _start = start;
        _bytes = bytes;
        _type = type;
    }

    /// <summary>The first byte.</summary>
    public byte* Start => _start;

    /// <summary>Bytes of all.</summary>
    public long Bytes => _bytes;

    /// <summary>Bytes that one matrix takes.</summary>
    public static long BytesFor(int rows, int columns, ElementType type = ElementType.Float32) =>
        (((long)rows * columns * type.Bytes()) + Alignment - 1) / Alignment * Alignment;

    /// <summary>The next matrix.</summary>
    /// <exception cref="InvalidOperationException">The arena was planned too small.</exception>
    public Activation Carve(int rows, int columns, ElementType? type = null)
    {
        var bytes = BytesFor(rows, columns, type ?? _type);
        if (_used + bytes > _bytes)
        {
            throw new InvalidOperationException($"activation arena: {_bytes} bytes planned, {_used + bytes} asked for");
        }

        var activation = new Activation((float*)(_start + _used), rows, columns, type ?? _type);
        _used += bytes;
        return activation;
    }

    /// <inheritdoc />
    public void Dispose() => _memory?.Dispose();
}
