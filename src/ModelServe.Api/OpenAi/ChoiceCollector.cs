using System.Buffers;
using System.Text;
using ModelServe.Api.Services;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>Keeps one whole output, for an answer that is not streamed.</summary>
/// <param name="chat">Whether it is a message of a chat, else a text.</param>
/// <param name="firstOfPrompt">Whether its prompt counts for the usage.</param>
/// <param name="prompt">What is shown of its prompt.</param>
internal sealed class ChoiceCollector(bool chat, bool firstOfPrompt, PromptPart prompt) : IOutputWriter, IChoice
{
    private readonly StringBuilder _text = new(prompt.Echo);
    private readonly List<AnswerEvent> _events = [];
    private readonly ArrayBufferWriter<byte> _chatLogprobs = new();
    private LogprobJson? _logprobs;
    private LogprobLists? _lists;
    private OutputEnding? _ending;
    private bool _parsed;
    private bool _isNamedCall;
    private bool _listsHaveBegun;

    /// <inheritdoc/>
    public HttpError? Failure { get; private set; }

    /// <inheritdoc/>
    public UsageJson Usage { get; private set; }

    /// <inheritdoc/>
    public Task AcceptAsync(AdmittedRequest request)
    {
        if (request.Read.Request.Sampling.TopLogprobs is not null)
        {
            _logprobs = new LogprobJson(request) { FirstOffset = prompt.Echo is { } echo ? PromptLogprobJson.Length(echo) : 0 };
            _lists = chat ? null : new LogprobLists();
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task WriteAsync(AdmittedRequest request, TokenDelta delta, int count, OutputText text)
    {
        if (delta.PromptLogprobs is { } known)
        {
            prompt.Tell(known);
        }

        BeginLists();
        _parsed = text.IsParsed;
        if (_parsed)
        {
            _events.AddRange(text.Events);
        }
        else
        {
            _text.Append(text.Text);
        }

        if (_logprobs is { } logprobs && logprobs.Shown(delta, count) is > 0 and int shown)
        {
            if (_lists is not null)
            {
                logprobs.WriteCompletion(_lists, delta, shown);
            }
            else
            {
                JsonText json = new(_chatLogprobs);
                json.Raw(_chatLogprobs.WrittenCount > 0 ? ","u8 : ""u8);
                logprobs.WriteChat(json, delta, shown);
            }
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task EndAsync(AdmittedRequest request, OutputEnding ending)
    {
        BeginLists();
        _ending = ending;
        _isNamedCall = request.Read.Output.IsNamedCall;
        Usage = UsageJson.Of(request, firstOfPrompt, ending.ReasoningTokens);
        Failure = ChoiceEnd.FailureOf(ending);
        return Task.CompletedTask;
    }

    /// <summary>Writes the choice of an output that ended well.</summary>
    public void Write(JsonText json, int index)
    {
        json.Raw("{\"index\":"u8);
        json.Number(index);
        json.Raw(","u8);
        if (chat)
        {
            WriteMessage(json);
        }
        else
        {
            json.Raw("\"text\":"u8);
            json.String(_text.ToString());
        }

        json.Raw(",\"logprobs\":"u8);
        if (_logprobs is null)
        {
            json.Raw("null"u8);
        }
        else if (_lists is not null)
        {
            _lists.Take(json);
        }
        else
        {
            json.Raw("{\"content\":["u8);
            json.Raw(_chatLogprobs.WrittenSpan);
            json.Raw("],\"refusal\":null}"u8);
        }

        json.Raw(",\"finish_reason\":"u8);
        json.String(ChoiceEnd.ReasonOf(_ending!, _isNamedCall));
        if (!chat && prompt is { Listed: not null, Logprobs: { } known })
        {
            PromptLogprobJson.WriteList(json, prompt, known);
        }

        json.Raw("}"u8);
    }

    /// <summary>Puts the echoed prompt's entries before the output's, once they are known.</summary>
    private void BeginLists()
    {
        if (!_listsHaveBegun && _lists is not null && prompt is { EchoesLogprobs: true, Logprobs: { } known })
        {
            _listsHaveBegun = true;
            PromptLogprobJson.WriteCompletion(_lists, prompt, known);
        }
    }

    private void WriteMessage(JsonText json)
    {
        ParsedAnswer answer = _parsed ? ParsedAnswer.From(_events) : new ParsedAnswer(_text.ToString(), string.Empty, []);
        json.Raw("\"message\":{\"role\":\"assistant\",\"content\":"u8);
        if (answer.Content.Length == 0 && answer.ToolCalls.Count > 0)
        {
            json.Raw("null"u8);
        }
        else
        {
            json.String(answer.Content);
        }

        json.Raw(",\"refusal\":null"u8);
        if (answer.Reasoning.Length > 0)
        {
            json.Raw(",\"reasoning_content\":"u8);
            json.String(answer.Reasoning);
        }

        for (int i = 0; i < answer.ToolCalls.Count; i++)
        {
            json.Raw(i == 0 ? ",\"tool_calls\":["u8 : ","u8);
            ToolCallJson.Write(json, answer.ToolCalls[i]);
        }

        json.Raw(answer.ToolCalls.Count > 0 ? "]}"u8 : "}"u8);
    }
}
