using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>The one Tokens event of a stream, filled again for every delta so that a delta costs no more than its text.</summary>
internal sealed class TokensMessage
{
    private readonly Tokens _tokens = new();
    private readonly Logprobs? _logprobs;

    /// <summary>An empty event.</summary>
    public TokensMessage(bool withLogprobs)
    {
        Event = new GenerationEvent { Tokens = _tokens };
        _logprobs = withLogprobs ? new Logprobs() : null;
        _tokens.Logprobs = _logprobs;
    }

    /// <summary>The event to write; valid until the next <see cref="Fill"/>.</summary>
    public GenerationEvent Event { get; }

    /// <summary>Takes the first tokens of a delta, and the text that became ready.</summary>
    public void Fill(TokenDelta delta, int count, string text)
    {
        _tokens.TokenIds.Clear();
        for (int i = 0; i < count; i++)
        {
            _tokens.TokenIds.Add((uint)delta.TokenIds[i]);
        }

        _tokens.Text = text;
        if (_logprobs is not null)
        {
            FillLogprobs(_logprobs, delta, count);
        }
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
