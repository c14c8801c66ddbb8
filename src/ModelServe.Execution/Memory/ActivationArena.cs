using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>Owns the float32 matrices that every step and layer reuse; laid out once, so that a step allocates nothing.</summary>
internal sealed unsafe class ActivationArena : IDisposable
{
    private const long Alignment = 64;
    private readonly NativeBuffer _memory;
    private long _used;

    /// <summary>An arena of that many bytes (the sum of <see cref="BytesFor"/> of what will be carved from it).</summary>
    public ActivationArena(long bytes) => _memory = new NativeBuffer(bytes);

    /// <summary>Bytes that one matrix takes.</summary>
    public static long BytesFor(int rows, int columns) =>
        (((long)rows * columns * sizeof(float)) + Alignment - 1) / Alignment * Alignment;

    /// <summary>The next matrix.</summary>
    /// <exception cref="InvalidOperationException">The arena was planned too small.</exception>
    public Activation Carve(int rows, int columns)
    {
        var bytes = BytesFor(rows, columns);
        if (_used + bytes > _memory.Bytes)
        {
            throw new InvalidOperationException($"activation arena: {_memory.Bytes} bytes planned, {_used + bytes} asked for");
        }

        var activation = new Activation((float*)(_memory.Pointer + _used), rows, columns);
        _used += bytes;
        return activation;
    }

    /// <inheritdoc />
    public void Dispose() => _memory.Dispose();
}
