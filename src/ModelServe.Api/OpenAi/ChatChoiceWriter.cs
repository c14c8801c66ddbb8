using ModelServe.Api.Services;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>One output of a chat as chunks of a stream.</summary>
/// <remarks>The list of the prompt's log probabilities stands beside the choice, in the first chunk after the role's.</remarks>
internal sealed class ChatChoiceWriter(SseStream stream, OutputShape shape, AnswerHead head, int index, PromptPart prompt)
    : ChoiceWriter(stream, shape, head, index, prompt)
{
    private bool _isListed = index > 0;
    private LogprobJson? _logprobs;

    /// <inheritdoc/>
    protected override bool HasFirst => true;

    /// <inheritdoc/>
    protected override void Begin(AdmittedRequest request) =>
        _logprobs = request.Read.Request.Sampling.TopLogprobs is null ? null : new LogprobJson(request);

    /// <inheritdoc/>
    protected override bool Shows(TokenDelta delta, int count, OutputText text) =>
        !text.IsEmpty || (_logprobs is { } logprobs && logprobs.Shown(delta, count) > 0);

    /// <inheritdoc/>
    protected override void WriteFirst(JsonText json) =>
        json.Raw("\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,"u8);

    /// <inheritdoc/>
    protected override void WriteLast(JsonText json) => json.Raw("\"delta\":{},\"logprobs\":null,"u8);

    /// <inheritdoc/>
    protected override void WriteDelta(JsonText json, TokenDelta delta, int count, OutputText text)
    {
        json.Raw("\"delta\":{"u8);
        if (text.IsParsed)
        {
            WriteAnswer(json, text.Events);
        }
        else
        {
            json.Raw("\"content\":"u8);
            json.String(text.Text);
        }

        json.Raw("},"u8);
        if (_logprobs is { } logprobs && logprobs.Shown(delta, count) is > 0 and int shown)
        {
            json.Raw("\"logprobs\":{\"content\":["u8);
            logprobs.WriteChat(json, delta, shown);
            json.Raw("],\"refusal\":null},"u8);
        }
        else
        {
            json.Raw("\"logprobs\":null,"u8);
        }
    }

    /// <inheritdoc/>
    protected override void WriteBeside(JsonText json)
    {
        if (!_isListed && Prompt is { Listed: not null, Logprobs: { } known })
        {
            _isListed = true;
            PromptLogprobJson.WriteList(json, Prompt, known);
        }
    }

    private static void WriteAnswer(JsonText json, List<AnswerEvent> events)
    {
        bool any = WriteText(json, events, AnswerEventKind.Reasoning, "\"reasoning_content\":\""u8, false);
        any = WriteText(json, events, AnswerEventKind.Content, any ? ",\"content\":\""u8 : "\"content\":\""u8, any);
        bool first = true;
        foreach (AnswerEvent piece in events)
        {
            if (piece.Kind is AnswerEventKind.CallStarted or AnswerEventKind.CallArguments)
            {
                json.Raw(!first ? ","u8 : any ? ",\"tool_calls\":["u8 : "\"tool_calls\":["u8);
                first = false;
                ToolCallJson.WriteDelta(json, piece);
            }
        }

        json.Raw(first ? ""u8 : "]"u8);
    }

    private static bool WriteText(JsonText json, List<AnswerEvent> events, AnswerEventKind kind, ReadOnlySpan<byte> opening, bool any)
    {
        bool begun = false;
        foreach (AnswerEvent piece in events)
        {
            if (piece.Kind == kind)
            {
                json.Raw(begun ? ""u8 : opening);
                begun = true;
                json.StringPart(piece.Text);
            }
        }

        json.Raw(begun ? "\""u8 : ""u8);
        return any || begun;
    }
}
