using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>Owns the rotary tables of a model, filled for every position up to its longest sequence.</summary>
/// <remarks>
/// The angle is the float32 product of position and float32 frequency, because that is what these models were trained with;
/// cosine and sine of it are then exact to float32.
/// </remarks>
internal sealed unsafe class RotaryMemory : IDisposable
{
    private const long Alignment = 64;
    private readonly NativeBuffer _memory;

    /// <summary>Fills the tables.</summary>
    public RotaryMemory(ModelConfig config, int positions)
    {
        var half = config.HeadDim / 2;
        var tableBytes = TableBytes(config.HeadDim, positions);
        _memory = new NativeBuffer(2 * tableBytes);
        var cosines = (float*)_memory.Pointer;
        var sines = (float*)(_memory.Pointer + tableBytes);
        var frequencies = config.RotaryScaling.Frequencies(config.RotaryBase, config.HeadDim);
        for (var position = 0; position < positions; position++)
        {
            for (var i = 0; i < half; i++)
            {
                var (sine, cosine) = Math.SinCos(position * frequencies[i]);
                cosines[((long)position * half) + i] = (float)cosine;
                sines[((long)position * half) + i] = (float)sine;
            }
        }

        Table = new RotaryTable(cosines, sines, positions, half);
    }

    /// <summary>The filled tables; valid until this is disposed.</summary>
    public RotaryTable Table { get; }

    /// <summary>Bytes of both tables.</summary>
    public static long BytesFor(ModelConfig config, int positions) => 2 * TableBytes(config.HeadDim, positions);

    /// <inheritdoc />
    public void Dispose() => _memory.Dispose();

    private static long TableBytes(int headDim, int positions) =>
        (((long)positions * (headDim / 2) * sizeof(float)) + Alignment - 1) / Alignment * Alignment;
}
