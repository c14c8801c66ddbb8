using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>One output of a text completion as chunks of a stream.</summary>
internal sealed class TextChoiceWriter(SseStream stream, OutputShape shape, AnswerHead head, int index, string? echo)
    : ChoiceWriter(stream, shape, head, index)
{
    private LogprobJson? _logprobs;
    private LogprobLists? _lists;

    /// <inheritdoc/>
    protected override bool HasFirst => echo is not null;

    /// <inheritdoc/>
    protected override void Begin(AdmittedRequest request)
    {
        if (request.Read.Request.Sampling.TopLogprobs is not null)
        {
            _logprobs = new LogprobJson(request);
            _lists = new LogprobLists();
        }
    }

    /// <inheritdoc/>
    protected override bool Shows(TokenDelta delta, int count, OutputText text) =>
        !text.IsEmpty || (_logprobs is { } logprobs && logprobs.Shown(delta, count) > 0);

    /// <inheritdoc/>
    protected override void WriteFirst(JsonText json) => WriteText(json, echo);

    /// <inheritdoc/>
    protected override void WriteLast(JsonText json) => WriteText(json, default);

    /// <inheritdoc/>
    protected override void WriteDelta(JsonText json, TokenDelta delta, int count, OutputText text)
    {
        json.Raw("\"text\":"u8);
        json.String(text.Text);
        json.Raw(",\"logprobs\":"u8);
        if (_logprobs is { } logprobs && logprobs.Shown(delta, count) is > 0 and int shown)
        {
            logprobs.WriteCompletion(_lists!, delta, shown);
            _lists!.Take(json);
        }
        else
        {
            json.Raw("null"u8);
        }

        json.Raw(","u8);
    }

    private static void WriteText(JsonText json, ReadOnlySpan<char> text)
    {
        json.Raw("\"text\":"u8);
        json.String(text);
        json.Raw(",\"logprobs\":null,"u8);
    }
}
