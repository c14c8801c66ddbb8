namespace ModelServe.Codec.Streaming;

/// <summary>
/// What one token reads like by itself, as log probabilities show it. Immutable, and shared by all requests of a tokenizer.
/// </summary>
/// <param name="Id">The token.</param>
/// <param name="Text">
/// Its text where the bytes are whole characters, else each byte as <c>\xNN</c>, which is how the OpenAI API writes a token that is
/// a part of a character. Empty for an id that the vocabulary does not use.
/// </param>
/// <param name="Bytes">Its UTF-8 bytes: what the token adds to the bytes of the whole text.</param>
public sealed record TokenSpelling(int Id, string Text, ReadOnlyMemory<byte> Bytes)
{
    /// <summary>Whether the bytes are whole characters, so that <see cref="Text"/> is their text.</summary>
    public required bool IsWhole { get; init; }

    /// <summary>Whether the token is a special one, which the text of an answer usually leaves out.</summary>
    public required bool IsSpecial { get; init; }
}
