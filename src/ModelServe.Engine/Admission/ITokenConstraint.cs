namespace ModelServe.Engine.Admission;

/// <summary>A rule on which tokens an output may consist of, such as a grammar. Immutable and thread-safe; the engine never looks inside.</summary>
public interface ITokenConstraint
{
    /// <summary>A follower at the beginning of an output; one more each time the sequence gets a slot, to which its output so far is told again. Never throws, and is no work.</summary>
    ITokenConstraintFollower Follow();
}

/// <summary>One output's way through a constraint. Used by one thread at a time, which need not be the same one.</summary>
/// <remarks>A mask is asked for only after <see cref="Follow"/> or <see cref="TryFollow"/> has found it, and then costs a copy.</remarks>
public interface ITokenConstraintFollower
{
    /// <summary>Why no token can come any more, for the one who asked for the constraint; null as long as the rule can be followed.</summary>
    string? Failure { get; }

    /// <summary>Takes tokens that came and finds those that may come next. Bounded work, at times of many milliseconds: not for a thread that others wait for.</summary>
    /// <param name="tokenIds">Each was allowed when it came; none asks for the mask at the beginning.</param>
    void Follow(ReadOnlySpan<int> tokenIds);

    /// <summary>The same for one token at a place that was met before: by look-ups alone, without a wait.</summary>
    /// <returns>False, and nothing changed, where <see cref="Follow"/> is needed.</returns>
    bool TryFollow(int tokenId);

    /// <summary>Replaces a mask by the tokens that may come next: bit <c>id % 32</c> of word <c>id / 32</c>. A stop token is among them where the output may end.</summary>
    /// <param name="allowed">One bit for each logit of the model.</param>
    /// <returns>Whether any token may come; without one the sequence fails, and others are unharmed.</returns>
    bool FillMask(Span<uint> allowed);
}
