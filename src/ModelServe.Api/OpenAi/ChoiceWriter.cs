using ModelServe.Api.Services;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>One output of a request on its way into the shared stream: what both kinds of events have in common.</summary>
internal abstract class ChoiceWriter : IOutputWriter, IChoice
{
    private readonly SseStream _stream;
    private readonly OutputShape _shape;
    private readonly byte[] _head;
    private readonly bool _firstOfPrompt;
    private OutputEnding? _ending;
    private UsageJson _usage;

    /// <summary>A writer of one output.</summary>
    protected ChoiceWriter(SseStream stream, OutputShape shape, AnswerHead head, int index, PromptPart prompt)
    {
        Prompt = prompt;
        _stream = stream;
        _shape = shape;
        _head = head.EventOf(index);
        _firstOfPrompt = index % shape.Choices == 0;
    }

    /// <inheritdoc/>
    public HttpError? Failure { get; private set; }

    /// <inheritdoc/>
    public UsageJson Usage => _usage;

    /// <inheritdoc/>
    public Task AcceptAsync(AdmittedRequest request)
    {
        Begin(request);
        return HasFirst ? SendAsync(request, null, 0, null) : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task WriteAsync(AdmittedRequest request, TokenDelta delta, int count, OutputText text)
    {
        bool isTold = delta.PromptLogprobs is not null;
        if (isTold)
        {
            Prompt.Tell(delta.PromptLogprobs);
        }

        return isTold || Shows(delta, count, text) || _shape.ContinuousUsage ? SendAsync(request, delta, count, text) : Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task EndAsync(AdmittedRequest request, OutputEnding ending)
    {
        _usage = UsageJson.Of(request, _firstOfPrompt, ending.ReasoningTokens);
        Failure = ChoiceEnd.FailureOf(ending);
        if (Failure is not null)
        {
            return Task.CompletedTask;
        }

        _ending = ending;
        return SendAsync(request, null, 0, null);
    }

    /// <summary>What is shown of its prompt.</summary>
    protected PromptPart Prompt { get; }

    /// <summary>Whether an event is sent before the first token.</summary>
    protected abstract bool HasFirst { get; }

    /// <summary>The request is in.</summary>
    protected abstract void Begin(AdmittedRequest request);

    /// <summary>Whether a delta has anything to show.</summary>
    protected abstract bool Shows(TokenDelta delta, int count, OutputText text);

    /// <summary>Writes the members of the first event's choice, up to the finish reason.</summary>
    protected abstract void WriteFirst(JsonText json);

    /// <summary>Writes the members of a delta's choice, up to the finish reason.</summary>
    protected abstract void WriteDelta(JsonText json, TokenDelta delta, int count, OutputText text);

    /// <summary>Writes the members of the last choice, up to the finish reason.</summary>
    protected abstract void WriteLast(JsonText json);

    /// <summary>Writes members of the event behind its choice.</summary>
    protected virtual void WriteBeside(JsonText json)
    {
    }

    private Task SendAsync(AdmittedRequest request, TokenDelta? delta, int count, OutputText? text)
    {
        Task turn = _stream.EnterAsync();
        return turn.IsCompletedSuccessfully ? Send(request, delta, count, text) : SendLaterAsync(turn, request, delta, count, text);
    }

    private async Task SendLaterAsync(Task turn, AdmittedRequest request, TokenDelta? delta, int count, OutputText? text)
    {
        await turn;
        await Send(request, delta, count, text);
    }

    private Task Send(AdmittedRequest request, TokenDelta? delta, int count, OutputText? text)
    {
        JsonText json = new(_stream.Pipe);
        json.Raw(_head);
        if (delta is not null)
        {
            WriteDelta(json, delta, count, text!);
        }
        else if (_ending is null)
        {
            WriteFirst(json);
        }
        else
        {
            WriteLast(json);
        }

        if (_ending is null)
        {
            json.Raw("\"finish_reason\":null}]"u8);
        }
        else
        {
            json.Raw("\"finish_reason\":"u8);
            json.String(ChoiceEnd.ReasonOf(_ending, request.Read.Output.IsNamedCall));
            json.Raw("}]"u8);
        }

        WriteBeside(json);
        if (_shape.ContinuousUsage)
        {
            json.Raw(","u8);
            UsageJson.Of(request, true, _ending?.ReasoningTokens ?? text?.ReasoningTokens ?? 0).Write(json);
        }
        else if (_shape.IncludeUsage)
        {
            json.Raw(",\"usage\":null"u8);
        }

        json.Raw("}\n\n"u8);
        return _stream.FlushAsync();
    }
}

/// <summary>What is known of one output after it has ended.</summary>
internal interface IChoice
{
    /// <summary>Why it has no finish reason; null where it has one.</summary>
    HttpError? Failure { get; }

    /// <summary>Its counts.</summary>
    UsageJson Usage { get; }
}
