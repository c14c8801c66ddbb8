using ModelServe.Api.Requests;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>The one Tokens event of a stream, filled again for every delta so that a delta costs no more than its text.</summary>
internal sealed class TokensMessage
{
    private readonly Tokens _tokens = new();
    private readonly Logprobs? _logprobs;
    private readonly ReadRequest _read;

    /// <summary>An empty event of a request.</summary>
    public TokensMessage(ReadRequest read)
    {
        _read = read;
        Event = new GenerationEvent { Tokens = _tokens };
        _logprobs = read.Request.Sampling.TopLogprobs is not null ? new Logprobs() : null;
        _tokens.Logprobs = _logprobs;
    }

    /// <summary>The event to write; valid until the next <see cref="Fill"/>.</summary>
    public GenerationEvent Event { get; }

    /// <summary>Takes the first tokens of a delta, and the text that became ready.</summary>
    public void Fill(TokenDelta delta, int count, OutputText text)
    {
        _tokens.TokenIds.Clear();
        for (int i = 0; i < count; i++)
        {
            _tokens.TokenIds.Add((uint)delta.TokenIds[i]);
        }

        if (text.IsParsed)
        {
            FillAnswer(text.Events);
        }
        else
        {
            _tokens.Text = text.Text.ToString();
        }

        if (_logprobs is not null)
        {
            FillLogprobs(_logprobs, delta, count);
        }

        _tokens.PromptLogprobs = delta.PromptLogprobs is { } known ? Wire(known, _read.Request.PromptTokenIds.Span) : null;
    }

    private static V1.PromptLogprobs Wire(Engine.Admission.PromptLogprobs known, ReadOnlySpan<int> prompt)
    {
        var wire = new V1.PromptLogprobs { TopCount = known.TopCount };
        wire.TokenIds.Add((uint)prompt[0]);
        for (int i = 0; i < known.Count; i++)
        {
            wire.TokenIds.Add((uint)prompt[i + 1]);
            wire.TokenLogprobs.Add(known.Logprobs[i]);
            wire.TokenRanks.Add(known.Ranks[i]);
            for (int rank = 0; rank < known.TopCount; rank++)
            {
                wire.TopTokenIds.Add((uint)known.TopTokenIds(i)[rank]);
                wire.TopLogprobs.Add(known.TopLogprobs(i)[rank]);
            }
        }

        return wire;
    }

    private void FillAnswer(List<AnswerEvent> events)
    {
        _tokens.Text = string.Concat(events.Where(piece => piece.Kind == AnswerEventKind.Content).Select(piece => piece.Text));
        _tokens.ClearReasoning();
        string reasoning = string.Concat(events.Where(piece => piece.Kind == AnswerEventKind.Reasoning).Select(piece => piece.Text));
        if (reasoning.Length > 0)
        {
            _tokens.Reasoning = reasoning;
        }

        _tokens.ToolCalls.Clear();
        foreach (AnswerEvent piece in events)
        {
            if (piece.CallIndex >= 0)
            {
                _tokens.ToolCalls.Add(Delta(piece));
            }
        }
    }

    private static ToolCallDelta Delta(AnswerEvent piece)
    {
        var delta = new ToolCallDelta { Index = piece.CallIndex };
        switch (piece.Kind)
        {
            case AnswerEventKind.CallStarted:
                delta.Id = piece.CallId;
                delta.Name = piece.Text;
                break;
            case AnswerEventKind.CallArguments:
                delta.Arguments = piece.Text;
                break;
            case AnswerEventKind.CallEnded:
                delta.State = ToolCallState.Complete;
                break;
            default:
                delta.State = ToolCallState.Abandoned;
                break;
        }

        return delta;
    }

    private static void FillLogprobs(Logprobs target, TokenDelta delta, int count)
    {
        target.TokenLogprobs.Clear();
        target.TopCounts.Clear();
        target.TopTokenIds.Clear();
        target.TopLogprobs.Clear();
        int alternatives = 0;
        for (int i = 0; i < count; i++)
        {
            target.TokenLogprobs.Add(delta.Logprobs[i]);
            target.TopCounts.Add(delta.TopCounts[i]);
            alternatives += delta.TopCounts[i];
        }

        for (int i = 0; i < alternatives; i++)
        {
            target.TopTokenIds.Add((uint)delta.TopTokenIds[i]);
            target.TopLogprobs.Add(delta.TopLogprobs[i]);
        }
    }
}
