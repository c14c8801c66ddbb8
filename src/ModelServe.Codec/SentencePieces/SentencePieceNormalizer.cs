using System.Text;
using ModelServe.Codec.Normalizing;

namespace ModelServe.Codec.SentencePieces;

/// <summary>The normalization of a SentencePiece model, by its own library's rules: the longest replacement first, then spaces.</summary>
internal sealed class SentencePieceNormalizer(ModelFile file, UserSymbols symbols) : ITextNormalizer
{
    private const char Marker = '\u2581';

    /// <inheritdoc/>
    public string Normalize(string text)
    {
        byte[] bytes = file.Map is null ? [] : Encoding.UTF8.GetBytes(text);
        char space = file.EscapesSpaces ? Marker : ' ';
        var output = new StringBuilder(text.Length + 1);
        int position = 0;
        int offset = 0;
        if (file.RemovesExtraSpaces)
        {
            while (position < text.Length && Next(text, bytes, ref position, ref offset, dry: true).SequenceEqual(" "))
            {
                Next(text, bytes, ref position, ref offset, dry: false);
            }
        }
        if (position == text.Length)
        {
            return "";
        }
        if (file.AddsDummyPrefix)
        {
            output.Append(space);
        }
        bool afterSpace = file.RemovesExtraSpaces;
        while (position < text.Length)
        {
            ReadOnlySpan<char> part = Next(text, bytes, ref position, ref offset, dry: false);
            part = afterSpace ? part.TrimStart(' ') : part;
            foreach (char value in part)
            {
                output.Append(value == ' ' ? space : value);
            }
            if (part.Length > 0)
            {
                afterSpace = file.RemovesExtraSpaces && part[^1] == ' ';
            }
        }
        int end = output.Length;
        while (file.RemovesExtraSpaces && end > 0 && output[end - 1] == space)
        {
            end--;
        }
        output.Length = end;
        return output.ToString();
    }

    /// <summary>What the text at a position becomes, and the position behind it (in chars and in bytes).</summary>
    private ReadOnlySpan<char> Next(string text, byte[] bytes, ref int position, ref int offset, bool dry)
    {
        (int from, int start) = (position, offset);
        int symbol = symbols.Match(text.AsSpan(from), out _);
        ReadOnlySpan<char> result;
        int consumed = symbol;
        if (symbol == 0 && file.Map?.FindLongest(bytes.AsSpan(start), out int length) is { } replaced)
        {
            file.Map.FindLongest(bytes.AsSpan(start), out length);
            consumed = Encoding.UTF8.GetCharCount(bytes, start, length);
            result = replaced;
        }
        else
        {
            consumed = symbol > 0 ? symbol : char.IsHighSurrogate(text[from]) ? 2 : 1;
            result = text.AsSpan(from, consumed);
        }
        if (!dry)
        {
            position = from + consumed;
            offset = start + (file.Map is null ? 0 : Encoding.UTF8.GetByteCount(text.AsSpan(from, consumed)));
        }
        return result;
    }
}
