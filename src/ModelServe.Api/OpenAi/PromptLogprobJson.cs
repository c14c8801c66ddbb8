using ModelServe.Codec.Streaming;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>Log probabilities of a prompt in the dialect's two shapes.</summary>
internal static class PromptLogprobJson
{
    /// <summary>Characters (Unicode code points, as Python counts them) of a text.</summary>
    public static int Length(string text) => text.EnumerateRunes().Count();

    /// <summary>Entries of a completion's four lists for every token of the prompt, whose text is echoed; the first has none but its text.</summary>
    public static void WriteCompletion(LogprobLists lists, PromptPart prompt, PromptLogprobs logprobs)
    {
        ReadOnlySpan<int> ids = prompt.Read.Request.PromptTokenIds.Span;
        int top = Math.Min(prompt.Read.Request.Sampling.TopLogprobs ?? 0, logprobs.TopCount);
        TokenSpeller speller = prompt.Read.Model.Text.Tokenizer.CreateSpeller(skipSpecialTokens: true);
        for (int i = 0; i < ids.Length; i++)
        {
            if (i == 0)
            {
                lists.Add(speller, ids[i], speller.Offset, null, [], []);
            }
            else
            {
                lists.Add(speller, ids[i], speller.Offset, logprobs.Logprobs[i - 1], logprobs.TopTokenIds(i - 1)[..top], logprobs.TopLogprobs(i - 1)[..top]);
            }

            speller.Advance(ids[i]);
        }
    }

    /// <summary>The member <c>"prompt_logprobs":[…]</c> after a comma, as vLLM writes it: null, then for each token an object of ids.</summary>
    /// <remarks>The token itself comes first, then the most likely ones.</remarks>
    public static void WriteList(JsonText json, PromptPart prompt, PromptLogprobs logprobs)
    {
        ReadOnlySpan<int> ids = prompt.Read.Request.PromptTokenIds.Span;
        int top = Math.Min(prompt.Listed ?? 0, logprobs.TopCount);
        TokenSpeller speller = prompt.Read.Model.Text.Tokenizer.CreateSpeller(prompt.Read.Output.SkipSpecialTokens);
        json.Raw(",\"prompt_logprobs\":[null"u8);
        speller.Advance(ids[0]);
        for (int i = 1; i < ids.Length; i++)
        {
            json.Raw(",{"u8);
            WriteToken(json, speller, ids[i], logprobs.Logprobs[i - 1], logprobs.Ranks[i - 1]);
            for (int rank = 0; rank < top; rank++)
            {
                int id = logprobs.TopTokenIds(i - 1)[rank];
                if (id != ids[i])
                {
                    json.Raw(","u8);
                    WriteToken(json, speller, id, logprobs.TopLogprobs(i - 1)[rank], rank + 1);
                }
            }

            json.Raw("}"u8);
            speller.Advance(ids[i]);
        }

        json.Raw("]"u8);
    }

    private static void WriteToken(JsonText json, TokenSpeller speller, int id, float logprob, int rank)
    {
        json.Raw("\""u8);
        json.Number(id);
        json.Raw("\":{\"logprob\":"u8);
        json.Number(logprob);
        json.Raw(",\"rank\":"u8);
        json.Number(rank);
        json.Raw(",\"decoded_token\":"u8);
        json.String(speller.Spell(id).Text);
        json.Raw("}"u8);
    }
}
