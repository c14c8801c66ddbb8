namespace ModelServe.Codec.Grammars;

/// <summary>Every way to read the text so far, and the moves from here that were asked before. Equal by its readings. Not thread-safe.</summary>
internal sealed class ReadingSet : IEquatable<ReadingSet>
{
    private readonly int _hash;
    private int[]? _next;

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

    /// <summary>The set after a byte, or -1 when that was not asked before.</summary>
    public int Known(byte value) => _next is null ? -1 : _next[value] - 1;

    /// <summary>Keeps the answer.</summary>
    public void Remember(byte value, int next) => (_next ??= new int[256])[value] = next + 1;

    /// <inheritdoc/>
    public bool Equals(ReadingSet? other) =>
        other is not null && IsComplete == other.IsComplete && LeftAt == other.LeftAt && Members.AsSpan().SequenceEqual(other.Members);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ReadingSet);

    /// <inheritdoc/>
    public override int GetHashCode() => _hash;
}
