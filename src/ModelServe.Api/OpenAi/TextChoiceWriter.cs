using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>One output of a text completion as chunks of a stream.</summary>
/// <remarks>An echoed prompt is the first chunk; beside log probabilities it begins the first chunk that has any, so that each stands by its token.</remarks>
internal sealed class TextChoiceWriter(SseStream stream, OutputShape shape, AnswerHead head, int index, PromptPart prompt)
    : ChoiceWriter(stream, shape, head, index, prompt)
{
    private LogprobJson? _logprobs;
    private LogprobLists? _lists;
    private bool _hasBegun;

    /// <inheritdoc/>
    protected override bool HasFirst => Prompt.Echo is not null && !Prompt.EchoesLogprobs;

    /// <inheritdoc/>
    protected override void Begin(AdmittedRequest request)
    {
        if (request.Read.Request.Sampling.TopLogprobs is not null)
        {
            _logprobs = new LogprobJson(request) { FirstOffset = Prompt.Echo is { } echo ? PromptLogprobJson.Length(echo) : 0 };
            _lists = new LogprobLists();
        }
    }

    /// <inheritdoc/>
    protected override bool Shows(TokenDelta delta, int count, OutputText text) =>
        !text.IsEmpty || (_logprobs is { } logprobs && logprobs.Shown(delta, count) > 0);

    /// <inheritdoc/>
    protected override void WriteFirst(JsonText json)
    {
        json.Raw("\"text\":"u8);
        json.String(Prompt.Echo);
        json.Raw(",\"logprobs\":null,"u8);
        _hasBegun = Prompt.Listed is null;
    }

    /// <inheritdoc/>
    protected override void WriteLast(JsonText json) => Write(json, null, 0, default);

    /// <inheritdoc/>
    protected override void WriteDelta(JsonText json, TokenDelta delta, int count, OutputText text) => Write(json, delta, count, text.Text);

    private void Write(JsonText json, TokenDelta? delta, int count, ReadOnlySpan<char> text)
    {
        bool isFirst = !_hasBegun;
        _hasBegun = true;
        json.Raw("\"text\":\""u8);
        if (isFirst && !HasFirst)
        {
            json.StringPart(Prompt.Echo);
        }

        json.StringPart(text);
        json.Raw("\",\"logprobs\":"u8);
        if (isFirst && Prompt is { EchoesLogprobs: true, Logprobs: { } known })
        {
            PromptLogprobJson.WriteCompletion(_lists!, Prompt, known);
        }

        if (delta is not null && _logprobs is { } logprobs && logprobs.Shown(delta, count) is > 0 and int shown)
        {
            logprobs.WriteCompletion(_lists!, delta, shown);
        }

        if (_lists is { IsEmpty: false })
        {
            _lists.Take(json);
        }
        else
        {
            json.Raw("null"u8);
        }

        if (isFirst && Prompt is { Listed: not null, Logprobs: { } listed })
        {
            PromptLogprobJson.WriteList(json, Prompt, listed);
        }

        json.Raw(","u8);
    }
}
