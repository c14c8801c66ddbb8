namespace ModelServe.Engine.Admission;

/// <summary>A rule on which tokens an output may consist of, such as a grammar. Immutable and thread-safe; the engine never looks inside.</summary>
public interface ITokenConstraint
{
    /// <summary>A follower at the beginning of an output; one more each time the sequence gets a slot, to which its output so far is told again.</summary>
    ITokenConstraintFollower Follow();
}

/// <summary>One output's way through a constraint. Used by one thread at a time, that of the executor.</summary>
public interface ITokenConstraintFollower
{
    /// <summary>Replaces a mask by the tokens that may come next: bit <c>id % 32</c> of word <c>id / 32</c>. A stop token is among them where the output may end.</summary>
    /// <param name="allowed">One bit for each logit of the model.</param>
    /// <returns>Whether any token may come; without one the sequence fails, and others are unharmed.</returns>
    bool FillMask(Span<uint> allowed);

    /// <summary>Takes the token that came, which the last mask allowed.</summary>
    void Advance(int tokenId);
}
