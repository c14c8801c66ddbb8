using ModelServe.Engine.Running;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Tests.Cpu.Attention;

/// <summary>Sequences with random queries, keys and values, whose blocks lie scattered in a cache.</summary>
/// <remarks>Earlier positions are written to the cache by the test itself, new ones by the operation under test or by the test.</remarks>
internal sealed unsafe class PagedBatch
{
    private readonly StepPlan _plan;
    private readonly AttentionShape _shape;
    private readonly ElementType _type;

    /// <summary>A batch of sequences, each of (positions computed before, tokens fed now).</summary>
    public PagedBatch(AttentionShape shape, ElementType type, int seed, params (int Before, int New)[] sequences)
        : this(shape, type, seed, [.. sequences.Select((_, i) => seed + (1000 * i))], sequences)
    {
    }

    /// <summary>As above; sequences of equal <paramref name="contents"/> have equal numbers, wherever they lie.</summary>
    public PagedBatch(AttentionShape shape, ElementType type, int seed, int[] contents, params (int Before, int New)[] sequences)
    {
        _shape = shape;
        _type = type;
        var longest = sequences.Max(s => s.Before + s.New);
        var tokens = sequences.Sum(s => s.New);
        var perSequence = (longest + 15) / 16;
        Geometry = new ExecutorGeometry(16, longest, 16, (perSequence * sequences.Length) + 3, sequences.Length, tokens);
        _plan = new StepPlan(Geometry) { StepId = 1, SequenceCount = sequences.Length, TokenCount = tokens };
        var blocks = Enumerable.Range(1, Geometry.BlockCount - 1).ToArray();
        new Random(seed).Shuffle(blocks);
        Sequences = new (float[] Queries, float[] Keys, float[] Values)[sequences.Length];
        for (var i = 0; i < sequences.Length; i++)
        {
            // A generator for each part, so that a shorter sequence of the same contents is a prefix of a longer one.
            var length = sequences[i].Before + sequences[i].New;
            Sequences[i] = (
                NativeFloats.Random(new Random(3 * contents[i]), (long)length * shape.QueryColumns),
                NativeFloats.Random(new Random((3 * contents[i]) + 1), (long)length * shape.KeyValueColumns),
                NativeFloats.Random(new Random((3 * contents[i]) + 2), (long)length * shape.KeyValueColumns));
            _plan.Slots[i] = i;
            _plan.TokenStarts[i + 1] = _plan.TokenStarts[i] + sequences[i].New;
            _plan.FirstPositions[i] = sequences[i].Before;
            blocks.AsSpan(i * perSequence, perSequence).CopyTo(_plan.BlockTables.AsSpan(i * _plan.BlockTableStride));
        }

        Batch = new StepBatch(Geometry);
        Batch.Fill(_plan, new int[sequences.Length]);
    }

    /// <summary>The sizes.</summary>
    public ExecutorGeometry Geometry { get; }

    /// <summary>The batch.</summary>
    public StepBatch Batch { get; }

    /// <summary>[sequence] numbers of all positions, [position, head, element].</summary>
    public (float[] Queries, float[] Keys, float[] Values)[] Sequences { get; }

    /// <summary>Sizes for the operations.</summary>
    public OpsShape OpsShape => new(Geometry.MaxBatchedTokens, Geometry.MaxSequences, Geometry.MaxModelLength, 16, 16, 16, _shape);

    /// <summary>A cache that holds every position of every sequence up to what this step ends with, and not-a-number elsewhere.</summary>
    public KvCache Cache(NativeFloats memory)
    {
        var cache = memory.Cache(_type, 1, Geometry.BlockCount, _shape);
        for (var sequence = 0; sequence < Sequences.Length; sequence++)
        {
            for (var position = 0; position < Batch.ContextLength(sequence); position++)
            {
                for (var head = 0; head < _shape.KeyValueHeads; head++)
                {
                    Write(cache, sequence, position, head);
                }
            }
        }

        return cache;
    }

    /// <summary>The fused rows of the tokens fed now; keys and values in them are not-a-number.</summary>
    public Activation Fused(NativeFloats memory)
    {
        var fused = memory.Empty(Batch.TokenCount, _shape.FusedColumns);
        for (var sequence = 0; sequence < Sequences.Length; sequence++)
        {
            for (var token = Batch.TokenStarts[sequence]; token < Batch.TokenStarts[sequence + 1]; token++)
            {
                Sequences[sequence].Queries.AsSpan(Batch.Positions[token] * _shape.QueryColumns, _shape.QueryColumns).CopyTo(fused.Row(token));
            }
        }

        return fused;
    }

    /// <summary>One element of the cache, widened.</summary>
    public float Read(KvCache cache, int sequence, int position, int head, int element, bool key)
    {
        var block = _plan.BlockTable(sequence)[position / 16];
        return CacheElements.Read(cache, 0, block, head, position % 16, element, key);
    }

    private void Write(KvCache cache, int sequence, int position, int head)
    {
        var block = _plan.BlockTable(sequence)[position / 16];
        var source = ((position * _shape.KeyValueHeads) + head) * _shape.HeadDim;
        CacheElements.Write(cache, 0, block, head, position % 16, Sequences[sequence].Keys.AsSpan(source, _shape.HeadDim), key: true);
        CacheElements.Write(cache, 0, block, head, position % 16, Sequences[sequence].Values.AsSpan(source, _shape.HeadDim), key: false);
    }
}
