namespace ModelServe.Engine.Blocks;

/// <summary>One change of the prefix cache as a reader gets it. Made once by the reader and filled again by <see cref="KvEventLog.TryRead"/>.</summary>
public sealed class KvEvent
{
    private readonly int[] _tokens;

    /// <summary>An empty event with room for one block.</summary>
    public KvEvent(int blockTokens) => _tokens = new int[blockTokens];

    /// <summary>Number of the event, from 1 upward without gaps.</summary>
    public long Sequence { get; internal set; }

    /// <summary>When the engine step in which it happened began, in UTC.</summary>
    public DateTimeOffset Time { get; internal set; }

    /// <summary>What happened.</summary>
    public KvEventKind Kind { get; internal set; }

    /// <summary>Name of the block: a keyed hash of its tokens and of everything before them; 0 for <see cref="KvEventKind.Cleared"/>.</summary>
    public UInt128 Hash { get; internal set; }

    /// <summary>Name of the block before it; null for the first of a sequence and for events that store nothing.</summary>
    public UInt128? Parent { get; internal set; }

    /// <summary>The block's token ids; only meaningful for <see cref="KvEventKind.Stored"/>.</summary>
    public ReadOnlySpan<int> TokenIds => _tokens;

    internal Span<int> Tokens => _tokens;
}
