using System.Buffers;
using System.Text;
using ModelServe.Api.Requests;
using ModelServe.Codec;
using ModelServe.Codec.Streaming;

namespace ModelServe.Api.Services;

/// <summary>The text of one output as its tokens arrive: whole characters only, and nothing that may still become a stop string.</summary>
/// <remarks>One reader at a time. After the first tokens it allocates nothing but the strings that <see cref="Take"/> returns.</remarks>
internal sealed class OutputText
{
    private readonly HfTokenizer _tokenizer;
    private readonly IncrementalDecoder _decoder;
    private readonly StopStringMatcher? _stops;
    private readonly int _minTokens;
    private readonly ArrayBufferWriter<char> _piece = new();
    private readonly StringBuilder _ready = new();
    private int _tokens;

    /// <summary>An empty output.</summary>
    public OutputText(HfTokenizer tokenizer, OutputRules rules)
    {
        _tokenizer = tokenizer;
        _decoder = tokenizer.CreateDecoder(rules.SkipSpecialTokens);
        _stops = rules.StopStrings.Length > 0 ? new StopStringMatcher(rules.StopStrings, rules.IncludeStop) : null;
        _minTokens = rules.MinTokens;
    }

    /// <summary>The stop string that ended the output, or null.</summary>
    public string? MatchedStop => _stops?.MatchedStop;

    /// <summary>Takes the next token.</summary>
    /// <returns>Whether the output ended with it, by a stop string.</returns>
    public bool Append(int tokenId)
    {
        _tokens++;
        // A model's logits may be wider than its vocabulary; an id beyond it has no text.
        if (tokenId >= _tokenizer.VocabularySize)
        {
            return false;
        }

        _piece.ResetWrittenCount();
        _decoder.Append(tokenId, _piece);
        return Pass();
    }

    /// <summary>Counts a token that shows no text.</summary>
    public void AppendSilently() => _tokens++;

    /// <summary>Ends the output: what was held back is ready now.</summary>
    public void Flush()
    {
        if (MatchedStop is not null)
        {
            return;
        }

        _piece.ResetWrittenCount();
        _decoder.Flush(_piece);
        if (!Pass())
        {
            _stops?.Flush(_ready);
        }
    }

    /// <summary>The text that became ready since the last call.</summary>
    public string Take()
    {
        if (_ready.Length == 0)
        {
            return string.Empty;
        }

        string text = _ready.ToString();
        _ready.Clear();
        return text;
    }

    private bool Pass()
    {
        if (_stops is null)
        {
            _ready.Append(_piece.WrittenSpan);
            return false;
        }

        // A stop string must end behind the least number of tokens, as vLLM has it; where it begins does not matter.
        return _stops.Append(_piece.WrittenSpan, _ready, mayStop: _tokens > _minTokens);
    }
}
