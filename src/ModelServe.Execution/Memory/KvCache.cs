using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Memory;

/// <summary>Keys and values of every live token, in fixed blocks, one pool for all sequences.</summary>
/// <remarks>
/// Layout [layer, block, kvHead] of pairs: keys as [headDim, slot], then values as [slot, headDim], in <see cref="Type"/>.
/// What one head reads of one block is thus one run of memory. Keys are transposed because a block has 16 slots, as many as a
/// 512-bit register has floats: 16 scores grow side by side, <c>score[slot] += q[d] * key[d, slot]</c>, with no sum across a
/// register. Values keep their rows because the output grows along headDim. A store of one key is a scatter, but it happens
/// once a token while reads happen once a later token.
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

    /// <summary>Bytes of a pool.</summary>
    public static long BytesFor(ElementType type, int layers, int blocks, int blockTokens, AttentionShape shape) =>
        2L * layers * blocks * blockTokens * shape.KeyValueColumns * type.Bytes();

    /// <summary>Keys [headDim, slot] of one head in one block.</summary>
    public byte* Keys(int layer, int block, int head) =>
        Data + (2L * HeadElements * Type.Bytes() * (((((long)layer * Blocks) + block) * KeyValueHeads) + head));

    /// <summary>Values [slot, headDim] of one head in one block.</summary>
    public byte* Values(int layer, int block, int head) => Keys(layer, block, head) + ((long)HeadElements * Type.Bytes());
}
