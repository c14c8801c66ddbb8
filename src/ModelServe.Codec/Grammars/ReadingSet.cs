namespace ModelServe.Codec.Grammars;

/// <summary>Every way to read the text so far; the moves from here and the mask, once they were asked for. Equal by its readings.</summary>
/// <remarks>Readings never change. Moves and the mask are set once and may be read by any thread without a lock.</remarks>
internal sealed class ReadingSet : IEquatable<ReadingSet>
{
    private readonly int _hash;
    private ReadingSet?[]? _next;
    private AllowedTokens? _allowed;

    /// <summary>A set.</summary>
    /// <param name="members">Readings that wait for a byte.</param>
    /// <param name="isComplete">Whether the text may end here.</param>
    /// <param name="leftAt">The characters counted in the rule that was left, where only the top rule is known; else -1.</param>
    public ReadingSet(Reading[] members, bool isComplete, int leftAt)
    {
        Members = members;
        IsComplete = isComplete;
        LeftAt = leftAt;
        var hash = default(HashCode);
        foreach (Reading reading in members)
        {
            hash.Add(reading);
        }

        hash.Add(isComplete);
        hash.Add(leftAt);
        _hash = hash.ToHashCode();
    }

    /// <summary>Readings that wait for a byte.</summary>
    public Reading[] Members { get; }

    /// <summary>Whether the text may end here.</summary>
    public bool IsComplete { get; }

    /// <summary>The characters counted in the rule that was left for what is not known; -1 when it was not left.</summary>
    public int LeftAt { get; }

    /// <summary>Whether there is no reading at all: nothing may come, and the text may not end.</summary>
    public bool IsDead => Members.Length == 0 && !IsComplete && LeftAt < 0;

    /// <summary>The tokens that may come here; null until somebody found them.</summary>
    public AllowedTokens? Allowed
    {
        get => Volatile.Read(ref _allowed);
        set => Volatile.Write(ref _allowed, value);
    }

    /// <summary>The set after a byte of a class, or null when that was not asked before.</summary>
    public ReadingSet? Known(int byteClass) => Volatile.Read(ref _next) is { } next ? Volatile.Read(ref next[byteClass]) : null;

    /// <summary>Keeps an answer. One thread at a time.</summary>
    /// <returns>Whether this was the first, so that the set takes more memory now.</returns>
    public bool Remember(int byteClass, ReadingSet next, int classes)
    {
        bool isFirst = _next is null;
        ReadingSet?[] moves = _next ?? new ReadingSet?[classes];
        Volatile.Write(ref moves[byteClass], next);
        Volatile.Write(ref _next, moves);
        return isFirst;
    }

    /// <inheritdoc/>
    public bool Equals(ReadingSet? other) =>
        other is not null && IsComplete == other.IsComplete && LeftAt == other.LeftAt && Members.AsSpan().SequenceEqual(other.Members);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ReadingSet);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;
}
