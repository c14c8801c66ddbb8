using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>Keys and values of every live token, in fixed blocks, one pool for all sequences.</summary>
/// <remarks>
/// Layout [layer, block, kvHead] of keys, then values, in <see cref="Type"/>; what one head reads of one block is one run of memory.
/// Both are lanes of 32 bits that hold as many elements as fit, <c>p</c>: keys [headDim / p, slot, p], values [slot / p, headDim, p].
/// With 16 slots a 512-bit register of keys makes 16 scores grow side by side, <c>score[slot] += q[d] * key[d, slot]</c>, with no sum
/// across a register, and the p elements of a lane are those that dot products of bfloat16 pairs or of four bytes sum up
/// themselves. Values lie the same way around because the output grows along headDim. A store of one token is a scatter, but it
/// happens once while reads happen once a later token.
/// Bytes have a scale for each slot's key, then one for each slot's value, float32, after the values.
/// Slots that no token has filled hold anything, not-a-number included: mask scores by assignment and skip their values.
/// Engine thread, and the threads of one operation.
/// </remarks>
internal sealed unsafe class KvCache
{
    /// <summary>A pool over memory that <paramref name="memory"/> owns; it must hold at least <see cref="BytesFor"/>.</summary>
    public KvCache(NativeBuffer memory, ElementType type, int layers, int blocks, int blockTokens, AttentionShape shape)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(memory.Bytes, BytesFor(type, layers, blocks, blockTokens, shape));
        Data = memory.Pointer;
        Type = type;
        Layers = layers;
        Blocks = blocks;
        BlockTokens = blockTokens;
        KeyValueHeads = shape.KeyValueHeads;
        HeadDim = shape.HeadDim;
    }

    /// <summary>A pool in a device's memory, which another owns; its operations lay out the elements as their kernels need, in as many bytes.</summary>
    public KvCache(byte* data, ElementType type, int layers, int blocks, int blockTokens, AttentionShape shape)
    {
        Data = data;
        Type = type;
        Layers = layers;
        Blocks = blocks;
        BlockTokens = blockTokens;
        KeyValueHeads = shape.KeyValueHeads;
        HeadDim = shape.HeadDim;
    }

    /// <summary>The first element.</summary>
    public byte* Data { get; }

    /// <summary>How the elements are stored.</summary>
    public ElementType Type { get; }

    /// <summary>Layers.</summary>
    public int Layers { get; }

    /// <summary>Blocks, with the null block 0.</summary>
    public int Blocks { get; }

    /// <summary>Tokens a block holds.</summary>
    public int BlockTokens { get; }

    /// <summary>Heads.</summary>
    public int KeyValueHeads { get; }

    /// <summary>Elements of a head.</summary>
    public int HeadDim { get; }

    /// <summary>Elements of one head's keys (or values) in one block.</summary>
    public int HeadElements => BlockTokens * HeadDim;

    /// <summary>Elements of a lane of 32 bits.</summary>
    public int Pack => sizeof(float) / Type.Bytes();

    /// <summary>Bytes of one head's part of one block.</summary>
    public long HeadBytes => HeadBytesFor(Type, BlockTokens, HeadDim);

    /// <summary>Bytes of the pool.</summary>
    public long Bytes => HeadBytes * KeyValueHeads * Blocks * Layers;

    /// <summary>Bytes of a pool.</summary>
    public static long BytesFor(ElementType type, int layers, int blocks, int blockTokens, AttentionShape shape) =>
        (long)layers * blocks * shape.KeyValueHeads * HeadBytesFor(type, blockTokens, shape.HeadDim);

    /// <summary>Keys of one head in one block.</summary>
    public byte* Keys(int layer, int block, int head) =>
        Data + (HeadBytes * (((((long)layer * Blocks) + block) * KeyValueHeads) + head));

    /// <summary>Values of one head in one block.</summary>
    public byte* Values(int layer, int block, int head) => Keys(layer, block, head) + ((long)HeadElements * Type.Bytes());

    /// <summary>Scales of the keys, then of the values, of one head in one block; for bytes only.</summary>
    public float* Scales(int layer, int block, int head) => (float*)(Keys(layer, block, head) + (2L * HeadElements * Type.Bytes()));

    private static long HeadBytesFor(ElementType type, int blockTokens, int headDim) =>
        2L * blockTokens * ((headDim * type.Bytes()) + (type == ElementType.Int8 ? sizeof(float) : 0));
}
