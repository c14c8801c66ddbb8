using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>What stays on the device between steps: block tables, last tokens and the arrays that the step prologue fills.</summary>
/// <remarks>Addresses only; the memory belongs to whom it was taken from. All are written by kernels in stream order.</remarks>
internal sealed unsafe class DeviceState
{
    /// <summary>Takes the memory and clears it.</summary>
    /// <exception cref="Memory.MemoryPlanException">The device has not enough left.</exception>
    public DeviceState(ExecutorGeometry geometry, IDeviceMemory memory, KernelStream stream)
    {
        var (slots, tokens) = (geometry.MaxSequences, Math.Max(geometry.MaxBatchedTokens, GraphBuckets.For(geometry.MaxSequences)));
        var rows = GraphBuckets.For(slots);
        MaxBlocks = geometry.MaxBlocksPerSequence;
        BlockTokens = geometry.BlockTokens;
        BlockTable = Ints((long)slots * MaxBlocks);
        LastTokens = Ints(slots);
        TokenIds = Ints(tokens);
        Positions = Ints(tokens);
        ContextLengths = Ints(rows);
        KvSlots = (long*)Take(tokens * sizeof(long));
        Numbers = Ints(Math.Max(rows, tokens) + 1);
        SampledIds = Ints(rows);
        var numbers = new int[Math.Max(rows, tokens) + 1];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = i;
        }

        fixed (int* source = numbers)
        {
            stream.CopyToDevice(Numbers, source, (long)numbers.Length * sizeof(int));
            stream.Synchronize();
        }

        int* Ints(long count) => (int*)Take(count * sizeof(int));

        byte* Take(long bytes)
        {
            var block = memory.Take(bytes, "step state");
            stream.Fill(block, 0, bytes);
            return block;
        }
    }

    /// <summary>Places of a block table row.</summary>
    public int MaxBlocks { get; }

    /// <summary>Tokens of a block.</summary>
    public int BlockTokens { get; }

    /// <summary>[slot, place] block.</summary>
    public int* BlockTable { get; }

    /// <summary>[slot] the token last sampled.</summary>
    public int* LastTokens { get; }

    /// <summary>[token] id; filled by the prologue.</summary>
    public int* TokenIds { get; }

    /// <summary>[token] position; filled by the prologue.</summary>
    public int* Positions { get; }

    /// <summary>[token] where key and value go, −1 for none; filled by the prologue.</summary>
    public long* KvSlots { get; }

    /// <summary>[row] tokens with this step's; filled by the prologue.</summary>
    public int* ContextLengths { get; }

    /// <summary>[i] i: token starts and sampled tokens of steps of single tokens.</summary>
    public int* Numbers { get; }

    /// <summary>[sampled row] the token of this step; −1 if no logit was finite.</summary>
    public int* SampledIds { get; }

    /// <summary>[row + 1] the first token of each row of a step.</summary>
    public int* TokenStarts(DeviceStep step) => step.Layout.Tiles > 0 ? step.At(step.Layout.TokenStarts) : Numbers;

    /// <summary>Bytes of all of it.</summary>
    public static long BytesFor(ExecutorGeometry geometry)
    {
        var rows = GraphBuckets.For(geometry.MaxSequences);
        long tokens = Math.Max(geometry.MaxBatchedTokens, rows);
        return ((long)geometry.MaxSequences * (geometry.MaxBlocksPerSequence + 1) * 4) + (tokens * 20) + (rows * 8L) + (8 * 256);
    }
}
