using System.Globalization;
using System.Text;
using System.Text.Unicode;
using ModelServe.Codec.Streaming;

namespace ModelServe.Codec.Decoding;

/// <summary>
/// The spellings of a tokenizer's tokens, each made when it is first asked for and kept: at most one an id. Thread-safe.
/// </summary>
/// <param name="tokenizer">Knows the tokens.</param>
/// <param name="plan">The tokenizer's decoders.</param>
internal sealed class SpellingTable(HfTokenizer tokenizer, DecoderPlan plan)
{
    private readonly TokenBytes _bytes = new(plan);
    private readonly TokenSpelling?[] _known = new TokenSpelling?[tokenizer.VocabularySize];

    /// <summary>The spelling of a token; an id beyond the vocabulary spells nothing.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public TokenSpelling Get(int id, bool atStart)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        if ((atStart && _bytes.DependsOnPlace) || id >= _known.Length)
        {
            return Make(id, atStart);
        }
        TokenSpelling? known = Volatile.Read(ref _known[id]);
        if (known is null)
        {
            known = Make(id, atStart);
            Volatile.Write(ref _known[id], known);
        }
        return known;
    }

    private TokenSpelling Make(int id, bool atStart)
    {
        byte[] bytes = tokenizer.TokenText(id) is { } token ? _bytes.Of(token, atStart) : [];
        bool whole = Utf8.IsValid(bytes);
        string text = whole ? Encoding.UTF8.GetString(bytes) : Escaped(bytes);
        return new TokenSpelling(id, text, bytes) { IsWhole = whole, IsSpecial = tokenizer.IsSpecial(id) };
    }

    private static string Escaped(byte[] bytes)
    {
        var text = new StringBuilder(bytes.Length * 4);
        foreach (byte value in bytes)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        }
        return text.ToString();
    }
}
