using System.Text;

namespace ModelServe.Codec.Streaming;

/// <summary>
/// Follows one sequence for its log probabilities: how the chosen token and its alternatives read where the sequence stands, and at
/// which character of the text that is. One use a token: <see cref="Offset"/>, <see cref="Spell"/> for every candidate, then
/// <see cref="Advance"/> with the chosen one. For one sequence; not thread-safe; allocates only for spellings not asked for before.
/// </summary>
/// <remarks>
/// <para>
/// The bytes of the tokens of a sequence, special tokens left out where the text leaves them out, are the UTF-8 bytes of its decoded
/// text, with these exceptions. Bytes that are not UTF-8 stand as U+FFFD in the text and as themselves here. A tokenizer whose
/// decoder strips more than one character from the start of a text, or rewrites what several tokens spell together, is followed
/// token by token (no known checkpoint has one).
/// </para>
/// <para>
/// A SentencePiece tokenizer drops the space before the first word of a text: so does the spelling of the first token. To number the
/// characters of prompt and answer together, advance over the prompt first.
/// </para>
/// </remarks>
public sealed class TokenSpeller
{
    private readonly HfTokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;
    private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
    private char[] _chars = new char[64];
    private bool _begun;

    internal TokenSpeller(HfTokenizer tokenizer, bool skipSpecialTokens)
    {
        _tokenizer = tokenizer;
        _skipSpecialTokens = skipSpecialTokens;
    }

    /// <summary>
    /// Characters (Unicode code points, as Python counts them) of the text that are complete before the next token: OpenAI's
    /// <c>text_offset</c>. A token that goes on with a character has the offset of that character.
    /// </summary>
    public int Offset { get; private set; }

    /// <summary>How a token reads as the next one of the sequence.</summary>
    /// <param name="id">Any id; one that the vocabulary does not use reads as nothing.</param>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public TokenSpelling Spell(int id) => _tokenizer.Spell(id, atStart: !_begun);

    /// <summary>Takes the token that was chosen.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public void Advance(int id)
    {
        TokenSpelling spelling = Spell(id);
        if (_tokenizer.TokenText(id) is null || (_skipSpecialTokens && spelling.IsSpecial))
        {
            return;
        }
        _begun = true;
        ReadOnlySpan<byte> bytes = spelling.Bytes.Span;
        if (_chars.Length < bytes.Length + 4)
        {
            _chars = new char[(bytes.Length + 4) * 2];
        }
        int count = _utf8.GetChars(bytes, _chars, flush: false);
        for (int index = 0; index < count; index++)
        {
            Offset += char.IsLowSurrogate(_chars[index]) ? 0 : 1;
        }
    }
}
