namespace ModelServe.Codec.Grammars;

/// <summary>Counts the work of one mask: for each node of the token tree that is looked at, the ways to read the text up to there.</summary>
/// <remarks>The count depends on the grammar and the text alone, never on what was met before or on time, so that a limit is the same for every run.</remarks>
internal struct MaskWork(int limit)
{
    private int _spent;

    /// <summary>One more node.</summary>
    /// <exception cref="InvalidGrammarException">That is more than the limit.</exception>
    public void Spend(int readings)
    {
        _spent += 1 + readings;
        if (_spent > limit)
        {
            throw new InvalidGrammarException("", $"which tokens may come next takes more than {limit} steps of work to find out");
        }
    }
}
