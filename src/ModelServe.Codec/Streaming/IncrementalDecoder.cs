using System.Buffers;
using System.Text;
using ModelServe.Codec.Decoding;

namespace ModelServe.Codec.Streaming;

/// <summary>
/// Turns one sequence's token ids into text as they arrive. The pieces put together are the text of the whole sequence. Allocates
/// nothing per token once its buffers have grown; not thread-safe.
/// </summary>
public sealed class IncrementalDecoder
{
    private readonly HfTokenizer _tokenizer;
    private readonly bool _skipSpecialTokens;
    private readonly TextSink _sink = new();
    private readonly DecoderStage _first;

    internal IncrementalDecoder(HfTokenizer tokenizer, DecoderPlan plan, bool skipSpecialTokens)
    {
        _tokenizer = tokenizer;
        _skipSpecialTokens = skipSpecialTokens;
        _first = plan.Build(_sink);
    }

    /// <summary>Whether text is held back until more ids arrive: the bytes of an incomplete character.</summary>
    public bool HoldsText => _first.HoldsText;

    /// <summary>
    /// Takes the next id and appends the text that is complete now: possibly none, never half a character. An id that the
    /// vocabulary does not use gives no text.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public void Append(int id, StringBuilder output)
    {
        Take(id);
        output.Append(_sink.Text.Written);
    }

    /// <summary>As the other overload, into a character buffer.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public void Append(int id, IBufferWriter<char> output)
    {
        Take(id);
        output.Write(_sink.Text.Written);
    }

    /// <summary>Ends the stream: appends what was held back (U+FFFD for bytes that never became a character), and starts afresh.</summary>
    public void Flush(StringBuilder output)
    {
        End();
        output.Append(_sink.Text.Written);
        Reset();
    }

    /// <summary>As the other overload, into a character buffer.</summary>
    public void Flush(IBufferWriter<char> output)
    {
        End();
        output.Write(_sink.Text.Written);
        Reset();
    }

    /// <summary>Forgets the stream, held text included, and is ready for another one.</summary>
    public void Reset() => _first.Reset();

    private void Take(int id)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(id);
        _sink.Text.Clear();
        if (_tokenizer.TokenText(id) is { } text && !(_skipSpecialTokens && _tokenizer.IsSpecial(id)))
        {
            _first.Push(text);
        }
    }

    private void End()
    {
        _sink.Text.Clear();
        _first.End();
    }
}
