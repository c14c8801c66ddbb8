using Grpc.Core;
using ModelServe.Api.Services;
using ModelServe.Facades.Vllm;
using ModelServe.V1;
using Theirs = ModelServe.Facades.Vllm.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>This server's events as messages of vllm.grpc.engine: chunks while they are wanted, then one complete message.</summary>
internal sealed class VllmWriter(Theirs request, IServerStreamWriter<GenerateResponse> target) : IServerStreamWriter<GenerationEvent>
{
    private readonly GenerateComplete _complete = new();
    private int _promptTokens;

    /// <inheritdoc/>
    public WriteOptions? WriteOptions { get; set; }

    /// <inheritdoc/>
    /// <exception cref="RpcException">The event is an error, which is a status here.</exception>
    public Task WriteAsync(GenerationEvent message) => message.EventCase switch
    {
        GenerationEvent.EventOneofCase.Accepted => Begin(message.Accepted),
        GenerationEvent.EventOneofCase.Tokens => WriteTokensAsync(message.Tokens),
        GenerationEvent.EventOneofCase.Finished => WriteCompleteAsync(message.Finished),
        GenerationEvent.EventOneofCase.Error => throw ResultCollector.StatusOf(message.Error),
        _ => throw new ArgumentException($"an event that this interface has; got {message.EventCase}", nameof(message)),
    };

    private Task Begin(Accepted accepted)
    {
        _promptTokens = accepted.PromptTokens;
        return Task.CompletedTask;
    }

    private Task WriteTokensAsync(Tokens tokens)
    {
        _complete.OutputIds.Add(tokens.TokenIds);
        OutputLogProbs? logprobs = tokens.Logprobs is { } own ? Translate(tokens, own) : null;
        InputLogProbs? ofPrompt = tokens.PromptLogprobs is { } known ? Translate(known) : null;
        if (!request.Stream)
        {
            Append(logprobs);
            _complete.InputLogprobs ??= ofPrompt;
            return Task.CompletedTask;
        }

        if (tokens.TokenIds.Count == 0 && ofPrompt is null)
        {
            // Text that became whole: this interface has ids only.
            return Task.CompletedTask;
        }

        var chunk = new GenerateStreamChunk
        {
            PromptTokens = (uint)_promptTokens,
            CompletionTokens = (uint)tokens.TokenIds.Count,
            OutputLogprobs = logprobs,
            InputLogprobs = ofPrompt,
        };
        chunk.TokenIds.Add(tokens.TokenIds);
        return target.WriteAsync(new GenerateResponse { Chunk = chunk });
    }

    private Task WriteCompleteAsync(Finished finished)
    {
        _complete.FinishReason = finished.Reason switch
        {
            FinishReason.Stop => "stop",
            FinishReason.Length or FinishReason.ContextFull => "length",
            _ => "abort",
        };
        _complete.PromptTokens = (uint)_promptTokens;
        _complete.CompletionTokens = (uint)finished.Usage.CompletionTokens;
        _complete.CachedTokens = (uint)finished.Usage.CachedPromptTokens;
        if (finished.MatchedStopCase == Finished.MatchedStopOneofCase.StopString)
        {
            _complete.MatchedStopStr = finished.StopString;
        }
        else if (finished.MatchedStopCase == Finished.MatchedStopOneofCase.StopTokenId
            && request.SamplingParams?.StopTokenIds.Contains(finished.StopTokenId) == true)
        {
            // The model's own end token is no match of what the client asked for.
            _complete.MatchedTokenId = finished.StopTokenId;
        }

        return target.WriteAsync(new GenerateResponse { Complete = _complete });
    }

    private void Append(OutputLogProbs? more)
    {
        if (more is not null)
        {
            OutputLogProbs all = _complete.OutputLogprobs ??= new OutputLogProbs();
            all.TokenLogprobs.Add(more.TokenLogprobs);
            all.TokenIds.Add(more.TokenIds);
            all.TopLogprobs.Add(more.TopLogprobs);
        }
    }

    private static InputLogProbs Translate(PromptLogprobs known)
    {
        var logprobs = new InputLogProbs();
        logprobs.TokenIds.Add(known.TokenIds);
        for (int i = 0; i < known.TokenIds.Count; i++)
        {
            var token = new InputTokenLogProb();
            if (i > 0)
            {
                token.Value = known.TokenLogprobs[i - 1];
            }

            logprobs.TokenLogprobs.Add(token);
            if (known.TopCount == 0)
            {
                continue;
            }

            var top = new TopLogProbs();
            for (int next = (i - 1) * known.TopCount; i > 0 && next < i * known.TopCount; next++)
            {
                top.TokenIds.Add(known.TopTokenIds[next]);
                top.Values.Add(known.TopLogprobs[next]);
            }

            logprobs.TopLogprobs.Add(top);
        }

        return logprobs;
    }

    private static OutputLogProbs Translate(Tokens tokens, Logprobs own)
    {
        var logprobs = new OutputLogProbs();
        logprobs.TokenLogprobs.Add(own.TokenLogprobs);
        logprobs.TokenIds.Add(tokens.TokenIds);
        int next = 0;
        foreach (int count in own.TopCounts)
        {
            var top = new TopLogProbs();
            for (int end = next + count; next < end; next++)
            {
                top.TokenIds.Add(own.TopTokenIds[next]);
                top.Values.Add(own.TopLogprobs[next]);
            }

            logprobs.TopLogprobs.Add(top);
        }

        return logprobs;
    }
}
