using System.Text;
using Microsoft.ML.Tokenizers;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Tokenizing;

/// <summary>
/// Collects tokens with their ranges in the text that the model saw. A token that is only a part of a character's bytes gets the
/// range of the whole character.
/// </summary>
/// <param name="tokenizer">Knows the tokens' texts.</param>
/// <param name="model">Made the ids.</param>
/// <param name="limit">Most tokens to collect.</param>
internal sealed class TokenObserver(HfTokenizer tokenizer, ITokenModel model, int limit) : IEncodeObserver
{
    private readonly StringBuilder _seen = new();
    private readonly List<EncodedToken> _tokens = [];

    /// <summary>The tokens, at most as many as asked for.</summary>
    public IReadOnlyList<EncodedToken> Tokens => _tokens;

    /// <summary>The text that the ranges refer to: the input after normalizer and pre-tokenizer.</summary>
    public string SeenText => _seen.ToString();

    /// <summary>Chars of that text that the collected tokens cover.</summary>
    public int CharsConsumed { get; private set; }

    /// <inheritdoc/>
    public void Added(ReadOnlySpan<char> text, int id)
    {
        Collect(id, _seen.Length, _seen.Length + text.Length);
        _seen.Append(text);
    }

    /// <inheritdoc/>
    public void Piece(ReadOnlySpan<char> piece, ReadOnlySpan<int> ids)
    {
        int offset = _seen.Length;
        _seen.Append(piece);
        if (model.ContinuationPrefix.Length > 0)
        {
            WordPiece(piece.Length, ids, offset);
        }
        else if (model.Options.ByteLevel)
        {
            BytePiece(piece, ids, offset);
        }
        else
        {
            RunePiece(piece, ids, offset);
        }
    }

    private void WordPiece(int length, ReadOnlySpan<int> ids, int offset)
    {
        int position = 0;
        foreach (int id in ids)
        {
            int prefix = position > 0 ? model.ContinuationPrefix.Length : 0;
            int end = id == model.Options.UnknownId ? length : position + tokenizer.TokenText(id)!.Length - prefix;
            Collect(id, offset + position, offset + end);
            position = end;
        }
    }

    private void BytePiece(ReadOnlySpan<char> piece, ReadOnlySpan<int> ids, int offset)
    {
        // Byte i of the piece belongs to the char range [starts[i], ends[i]).
        List<(int Start, int End)> owners = [];
        int position = 0;
        foreach (Rune rune in piece.EnumerateRunes())
        {
            for (int index = 0; index < rune.Utf8SequenceLength; index++)
            {
                owners.Add((position, position + rune.Utf16SequenceLength));
            }
            position += rune.Utf16SequenceLength;
        }
        int taken = 0;
        foreach (int id in ids)
        {
            int width = id == model.Options.UnknownId ? 1 : tokenizer.TokenText(id)!.Length;
            int last = Math.Min(taken + width, owners.Count) - 1;
            int first = Math.Min(taken, last);
            Collect(id, offset + owners[first].Start, offset + owners[last].End);
            taken = last + 1;
        }
    }

    private void RunePiece(ReadOnlySpan<char> piece, ReadOnlySpan<int> ids, int offset)
    {
        int position = 0;
        int bytesLeft = 0;
        foreach (int id in ids)
        {
            int start = position;
            int end;
            Rune.DecodeFromUtf16(piece[position..], out Rune rune, out int width);
            bool known = position < piece.Length && model.Vocabulary.RuneId(rune.Value) >= 0;
            if (id == model.Options.UnknownId)
            {
                end = SkipUnknown(piece, position);
                position = end;
            }
            else if (!known && position < piece.Length && model.Options.ByteFallback && IsFallback(id, rune))
            {
                bytesLeft = bytesLeft == 0 ? rune.Utf8SequenceLength : bytesLeft;
                end = position + width;
                bytesLeft--;
                position = bytesLeft == 0 ? end : position;
            }
            else
            {
                end = Math.Min(piece.Length, position + tokenizer.TokenText(id)!.Length);
                position = end;
            }
            Collect(id, offset + start, offset + end);
        }
    }

    private bool IsFallback(int id, Rune rune)
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (byte value in bytes[..rune.EncodeToUtf8(bytes)])
        {
            if (model.Vocabulary.FallbackId(value) == id)
            {
                return true;
            }
        }
        return false;
    }

    private int SkipUnknown(ReadOnlySpan<char> piece, int start)
    {
        int position = start;
        while (position < piece.Length)
        {
            Rune.DecodeFromUtf16(piece[position..], out Rune rune, out int width);
            if (position > start && (!model.Options.FuseUnknown || model.Vocabulary.RuneId(rune.Value) >= 0))
            {
                break;
            }
            position += width;
        }
        return position;
    }

    private void Collect(int id, int start, int end)
    {
        if (_tokens.Count < limit)
        {
            _tokens.Add(new EncodedToken(id, tokenizer.TokenText(id)!, start..end));
            CharsConsumed = end;
        }
    }
}
