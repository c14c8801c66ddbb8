namespace ModelServe.Codec.Grammars;

/// <summary>Bounds on what one grammar may cost to compile and to follow. A grammar is a program that a stranger wrote. Immutable.</summary>
public sealed record GrammarLimits
{
    /// <summary>Characters of a schema, regular expression or grammar text.</summary>
    public int SourceCharacters { get; init; } = 64 * 1024;

    /// <summary>Nested schemas, groups of a regular expression, or brackets of a grammar.</summary>
    public int Depth { get; init; } = 64;

    /// <summary>Schemas inside one schema, after references were followed and combinations merged.</summary>
    public int Schemas { get; init; } = 4096;

    /// <summary>States of one rule while it is built, before and after it is made deterministic.</summary>
    public int RuleStates { get; init; } = 50_000;

    /// <summary>States of the whole grammar.</summary>
    public int States { get; init; } = 100_000;

    /// <summary>Rules that may be open inside each other while text is followed; what would open more is not allowed as a next token.</summary>
    public int OpenRules { get; init; } = 600;

    /// <summary>Ways in which the text so far may be read at once.</summary>
    public int Readings { get; init; } = 256;

    /// <summary>Ends a compilation that takes too long, or that nobody waits for.</summary>
    internal CancellationToken Cancellation { get; init; }

    /// <summary>
    /// Work of one mask, in nodes of the token tree times ways to read the text up to there. A text whose next mask would take more ends
    /// with an error. The tree has about two nodes for each token, and a mask is usually found without a walk.
    /// </summary>
    public int MaskWork { get; init; } = 2_000_000;

    /// <summary>Memory of one grammar for places met before, in bytes; about so much, since the last addition may pass it.</summary>
    public long BytesKept { get; init; } = 4 * 1024 * 1024;
}
