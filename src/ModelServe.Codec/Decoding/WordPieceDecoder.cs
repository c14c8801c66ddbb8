namespace ModelServe.Codec.Decoding;

/// <summary>
/// WordPiece: a continuation loses its prefix, another token gets a space before it; cleaning up removes the spaces that tokenizing
/// English put in, within each token.
/// </summary>
internal sealed class WordPieceDecoder(DecoderStage next, string prefix, bool cleanup) : DecoderStage(next)
{
    private static readonly (string Dirty, string Clean)[] Cleanings =
    [
        (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"),
        (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ];

    private readonly CharBuffer _text = new();
    private bool _started;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        _text.Clear();
        if (_started)
        {
            if (token.StartsWith(prefix, StringComparison.Ordinal))
            {
                token = token[prefix.Length..];
            }
            else
            {
                _text.Add(' ');
            }
        }
        _started = true;
        _text.Add(token);
        if (cleanup && _text.Written.Contains(' '))
        {
            Next.Push(Clean(_text.Written.ToString()));
            return;
        }
        Next.Push(_text.Written);
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _started = false;
        base.Reset();
    }

    private static string Clean(string text)
    {
        foreach ((string dirty, string clean) in Cleanings)
        {
            text = text.Replace(dirty, clean, StringComparison.Ordinal);
        }
        return text;
    }
}
