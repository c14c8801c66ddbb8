using ModelServe.Api.Services;

namespace ModelServe.Api.OpenAi;

/// <summary>The token counts of a response.</summary>
/// <param name="PromptTokens">Of every prompt once.</param>
/// <param name="CompletionTokens">Of every output.</param>
/// <param name="CachedTokens">Prompt tokens that the prefix cache had.</param>
/// <param name="ReasoningTokens">Output tokens that were reasoning.</param>
internal readonly record struct UsageJson(int PromptTokens, int CompletionTokens, int CachedTokens, int ReasoningTokens)
{
    /// <summary>The counts of one output; its prompt counts where it is the first of it.</summary>
    public static UsageJson Of(AdmittedRequest request, bool firstOfPrompt, int reasoningTokens) => new(
        firstOfPrompt ? request.Read.Request.PromptTokenIds.Length : 0,
        request.TokensSent,
        firstOfPrompt ? request.Stream.Timings.CachedPromptTokens : 0,
        reasoningTokens);

    /// <summary>Both together.</summary>
    public static UsageJson operator +(UsageJson left, UsageJson right) => new(
        left.PromptTokens + right.PromptTokens,
        left.CompletionTokens + right.CompletionTokens,
        left.CachedTokens + right.CachedTokens,
        left.ReasoningTokens + right.ReasoningTokens);

    /// <summary>Writes the member <c>"usage":{…}</c>.</summary>
    public void Write(JsonText json)
    {
        json.Raw("\"usage\":{\"prompt_tokens\":"u8);
        json.Number(PromptTokens);
        json.Raw(",\"completion_tokens\":"u8);
        json.Number(CompletionTokens);
        json.Raw(",\"total_tokens\":"u8);
        json.Number((long)PromptTokens + CompletionTokens);
        json.Raw(",\"prompt_tokens_details\":{\"cached_tokens\":"u8);
        json.Number(CachedTokens);
        json.Raw("},\"completion_tokens_details\":{\"reasoning_tokens\":"u8);
        json.Number(ReasoningTokens);
        json.Raw("}}"u8);
    }
}
