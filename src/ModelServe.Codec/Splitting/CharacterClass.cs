namespace ModelServe.Codec.Splitting;

/// <summary>The distinctions that the known pre-tokenizer patterns make between characters.</summary>
[Flags]
internal enum CharacterClass
{
    /// <summary>Nothing the patterns name: punctuation, symbols, controls, unassigned.</summary>
    None = 0,

    /// <summary><c>\p{L}</c>.</summary>
    Letter = 1,

    /// <summary><c>\p{N}</c>.</summary>
    Number = 2,

    /// <summary><c>\s</c>, line ends included.</summary>
    Space = 4,

    /// <summary>Carriage return or line feed.</summary>
    LineEnd = 8,

    /// <summary><c>[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]</c>: what may begin a word in camel-case patterns.</summary>
    Upper = 16,

    /// <summary><c>[\p{Ll}\p{Lm}\p{Lo}\p{M}]</c>: what may end a word in camel-case patterns.</summary>
    Lower = 32,
}
