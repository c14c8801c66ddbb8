namespace ModelServe.Codec.Decoding;

/// <summary>Replace with a literal pattern, in each token.</summary>
internal sealed class ReplaceDecoder(DecoderStage next, string pattern, string content) : DecoderStage(next)
{
    private readonly CharBuffer _text = new();

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        int found = token.IndexOf(pattern, StringComparison.Ordinal);
        if (found < 0)
        {
            Next.Push(token);
            return;
        }
        _text.Clear();
        while (found >= 0)
        {
            _text.Add(token[..found]);
            _text.Add(content);
            token = token[(found + pattern.Length)..];
            found = token.IndexOf(pattern, StringComparison.Ordinal);
        }
        _text.Add(token);
        Next.Push(_text.Written);
    }
}
