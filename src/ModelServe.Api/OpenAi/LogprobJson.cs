using System.Runtime.InteropServices;
using ModelServe.Api.Services;
using ModelServe.Codec.Streaming;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>Log probabilities of one output in the two shapes of the dialect. For one output; not thread-safe.</summary>
internal sealed class LogprobJson(AdmittedRequest request)
{
    private readonly TokenSpeller _speller =
        request.Read.Model.Text.Tokenizer.CreateSpeller(request.Read.Output.SkipSpecialTokens);

    /// <summary>Characters before the output, where the client has the prompt echoed.</summary>
    public int FirstOffset { get; init; }

    /// <summary>Tokens of a delta that a client sees: a stop token that is not shown has no log probability either.</summary>
    public int Shown(TokenDelta delta, int count) =>
        delta.MatchedStopTokenId is not null && !request.Read.Output.IncludeStop && count == delta.TokenIds.Count ? count - 1 : count;

    /// <summary>The entries of a chat's <c>content</c>, separated by commas.</summary>
    public void WriteChat(JsonText json, TokenDelta delta, int shown)
    {
        int next = 0;
        for (int i = 0; i < shown; i++)
        {
            json.Raw(i > 0 ? ",{"u8 : "{"u8);
            WriteToken(json, delta.TokenIds[i], delta.Logprobs[i]);
            json.Raw(",\"top_logprobs\":["u8);
            for (int end = next + delta.TopCounts[i], first = next; next < end; next++)
            {
                json.Raw(next > first ? ",{"u8 : "{"u8);
                WriteToken(json, delta.TopTokenIds[next], delta.TopLogprobs[next]);
                json.Raw("}"u8);
            }

            json.Raw("]}"u8);
            Advance(delta.TokenIds[i]);
        }
    }

    /// <summary>The entries of a completion's four lists, each separated by commas, into one buffer a list.</summary>
    public void WriteCompletion(LogprobLists lists, TokenDelta delta, int shown)
    {
        int next = 0;
        for (int i = 0; i < shown; i++)
        {
            int top = delta.TopCounts[i];
            lists.Add(
                _speller,
                delta.TokenIds[i],
                FirstOffset + _speller.Offset,
                delta.Logprobs[i],
                CollectionsMarshal.AsSpan(delta.TopTokenIds).Slice(next, top),
                CollectionsMarshal.AsSpan(delta.TopLogprobs).Slice(next, top));
            next += top;
            Advance(delta.TokenIds[i]);
        }
    }

    private void WriteToken(JsonText json, int id, float logprob)
    {
        TokenSpelling spelling = _speller.Spell(id);
        json.Raw("\"token\":"u8);
        json.String(spelling.Text);
        json.Raw(",\"logprob\":"u8);
        json.Number(logprob);
        json.Raw(",\"bytes\":["u8);
        ReadOnlySpan<byte> bytes = spelling.Bytes.Span;
        for (int i = 0; i < bytes.Length; i++)
        {
            json.Raw(i > 0 ? ","u8 : ""u8);
            json.Number(bytes[i]);
        }

        json.Raw("]"u8);
    }

    private void Advance(int id) => _speller.Advance(id);
}
