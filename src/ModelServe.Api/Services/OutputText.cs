using System.Buffers;
using System.Text;
using ModelServe.Api.Requests;
using ModelServe.Codec;
using ModelServe.Codec.Streaming;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Api.Services;

/// <summary>The text of one output as its tokens arrive: whole characters only, and nothing that may still become a stop string.</summary>
/// <remarks>
/// Where the rules say how to read the answer, the text comes apart into content, reasoning and tool calls instead: the parser sees
/// special tokens, the content does not show them. One reader at a time. Without a parser it allocates nothing after the first tokens.
/// </remarks>
internal sealed class OutputText
{
    private readonly HfTokenizer _tokenizer;
    private readonly IncrementalDecoder _decoder;
    private readonly StopStringMatcher? _stops;
    private readonly AnswerParser? _parser;
    private readonly int _minTokens;
    private readonly bool _stripsSpecial;
    private readonly ArrayBufferWriter<char> _piece = new();
    private readonly StringBuilder _ready = new();
    private readonly List<AnswerEvent> _fresh = [];
    private List<string>? _specialSeen;
    private char[] _text = new char[64];
    private int _tokens;

    /// <summary>An empty output.</summary>
    public OutputText(HfTokenizer tokenizer, OutputRules rules)
    {
        _tokenizer = tokenizer;
        _parser = rules.Answer is { } answer ? new AnswerParser(answer.Format, answer.Options) : null;
        _stripsSpecial = rules.SkipSpecialTokens && _parser is not null;
        _decoder = tokenizer.CreateDecoder(rules.SkipSpecialTokens && _parser is null);
        _stops = rules.StopStrings.Length > 0 ? new StopStringMatcher(rules.StopStrings, rules.IncludeStop) : null;
        _minTokens = rules.MinTokens;
    }

    /// <summary>The stop string that ended the output, or null.</summary>
    public string? MatchedStop => _stops?.MatchedStop;

    /// <summary>Whether <see cref="Events"/> hold the text, taken apart; else <see cref="Text"/> does.</summary>
    public bool IsParsed => _parser is not null;

    /// <summary>Whether something became ready since the last <see cref="Clear"/>.</summary>
    public bool IsEmpty => _ready.Length == 0 && Events.Count == 0;

    /// <summary>The text that became ready, where the answer is not parsed. Valid until the next call.</summary>
    public ReadOnlySpan<char> Text => Copy();

    /// <summary>The pieces that became certain, where the answer is parsed.</summary>
    public List<AnswerEvent> Events { get; } = [];

    /// <summary>Tokens up to the last one that brought reasoning.</summary>
    public int ReasoningTokens { get; private set; }

    /// <summary>Tool calls that were begun and not given up.</summary>
    public int ToolCalls { get; private set; }

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

        if (_stripsSpecial && _tokenizer.IsSpecial(tokenId))
        {
            Notice(_tokenizer.TokenText(tokenId)!);
        }

        _piece.ResetWrittenCount();
        _decoder.Append(tokenId, _piece);
        bool stopped = Pass();
        Parse();
        return stopped;
    }

    /// <summary>Counts a token that shows no text.</summary>
    public void AppendSilently() => _tokens++;

    /// <summary>Ends the output: what was held back is ready now.</summary>
    public void Flush()
    {
        if (MatchedStop is null)
        {
            _piece.ResetWrittenCount();
            _decoder.Flush(_piece);
            if (!Pass())
            {
                _stops?.Flush(_ready);
            }
        }

        Parse();
        if (_parser is not null)
        {
            _parser.Complete(_fresh);
            TakeFresh();
        }
    }

    /// <summary>Forgets what was ready.</summary>
    public void Clear()
    {
        _ready.Clear();
        Events.Clear();
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

    private ReadOnlySpan<char> Copy()
    {
        int length = _ready.Length;
        if (_text.Length < length)
        {
            _text = new char[length * 2];
        }

        _ready.CopyTo(0, _text, length);
        return _text.AsSpan(0, length);
    }

    private void Parse()
    {
        if (_parser is null || _ready.Length == 0)
        {
            return;
        }

        _parser.Append(Copy(), _fresh);
        _ready.Clear();
        TakeFresh();
    }

    private void TakeFresh()
    {
        foreach (AnswerEvent piece in _fresh)
        {
            switch (piece.Kind)
            {
                case AnswerEventKind.Reasoning:
                    // It stands at the start of an answer: what came so far is reasoning or its marker.
                    ReasoningTokens = _tokens;
                    break;
                case AnswerEventKind.CallStarted:
                    ToolCalls++;
                    break;
                case AnswerEventKind.CallAbandoned:
                    ToolCalls--;
                    break;
                default:
                    break;
            }

            AnswerEvent shown = piece.Kind is AnswerEventKind.Content or AnswerEventKind.Reasoning ? Strip(piece) : piece;
            if (shown.Text.Length > 0 || shown.Kind is not (AnswerEventKind.Content or AnswerEventKind.Reasoning))
            {
                Events.Add(shown);
            }
        }

        _fresh.Clear();
    }

    private void Notice(string special)
    {
        _specialSeen ??= [];
        if (!_specialSeen.Contains(special))
        {
            _specialSeen.Add(special);
        }
    }

    private AnswerEvent Strip(AnswerEvent piece)
    {
        string text = piece.Text;
        foreach (string special in _specialSeen ?? [])
        {
            text = text.Replace(special, string.Empty, StringComparison.Ordinal);
        }

        return piece with { Text = text };
    }
}
