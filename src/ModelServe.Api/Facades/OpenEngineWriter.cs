using Grpc.Core;
using ModelServe.Facades.OpenEngine;
using ModelServe.V1;
using OwnError = ModelServe.V1.ErrorCode;
using OwnReason = ModelServe.V1.FinishReason;
using TheirError = ModelServe.Facades.OpenEngine.ErrorCode;
using TheirReason = ModelServe.Facades.OpenEngine.FinishReason;
using Theirs = ModelServe.Facades.OpenEngine.GenerateRequest;
using TheirUsage = ModelServe.Facades.OpenEngine.Usage;

namespace ModelServe.Api.Facades;

/// <summary>This server's events as messages of openengine.v1: token records as they come, and one terminal message with the usage.</summary>
internal sealed class OpenEngineWriter(Theirs request, IServerStreamWriter<GenerateResponse> target) : IServerStreamWriter<GenerationEvent>
{
    private string _requestId = request.RequestId;

    /// <inheritdoc/>
    public WriteOptions? WriteOptions { get; set; }

    /// <inheritdoc/>
    public Task WriteAsync(GenerationEvent message)
    {
        switch (message.EventCase)
        {
            case GenerationEvent.EventOneofCase.Accepted:
                _requestId = message.Accepted.RequestId;
                return Task.CompletedTask;
            case GenerationEvent.EventOneofCase.Tokens:
                return message.Tokens.PromptLogprobs is null
                    ? SendAsync(new GenerateResponse { Token = Translate(message.Tokens) })
                    : SendPromptAsync(message.Tokens);
            case GenerationEvent.EventOneofCase.Finished:
                return SendAsync(new GenerateResponse
                {
                    Finished = Translate(message.Finished),
                    Usage = Translate(message.Finished.Usage),
                });
            case GenerationEvent.EventOneofCase.Error:
                return SendAsync(new GenerateResponse
                {
                    Error = Translate(message.Error),
                    Usage = Translate(message.Error.Usage),
                });
            default:
                throw new ArgumentException($"an event that this interface has; got {message.EventCase}", nameof(message));
        }
    }

    private Task SendAsync(GenerateResponse response)
    {
        response.RequestId = _requestId;
        return target.WriteAsync(response);
    }

    private async Task SendPromptAsync(Tokens tokens)
    {
        await SendAsync(new GenerateResponse { Prompt = Translate(tokens.PromptLogprobs) });
        if (tokens.TokenIds.Count > 0 || tokens.Text.Length > 0)
        {
            await SendAsync(new GenerateResponse { Token = Translate(tokens) });
        }
    }

    private PromptOutput Translate(PromptLogprobs known)
    {
        var output = new PromptOutput();
        for (int i = (int)Math.Min(request.Response?.PromptLogprobStart ?? 0, int.MaxValue); i < known.TokenIds.Count; i++)
        {
            var token = new TokenInfo { TokenId = known.TokenIds[i] };
            if (i > 0)
            {
                token.Logprob = known.TokenLogprobs[i - 1];
                token.Rank = (uint)known.TokenRanks[i - 1];
                for (int rank = 0; rank < known.TopCount; rank++)
                {
                    int entry = ((i - 1) * known.TopCount) + rank;
                    token.Candidates.Add(
                        new LogProb { TokenId = known.TopTokenIds[entry], Logprob = known.TopLogprobs[entry], Rank = (uint)rank + 1 });
                }
            }

            output.Tokens.Add(token);
        }

        return output;
    }

    private static TokenOutput Translate(Tokens tokens)
    {
        var output = new TokenOutput { OutputIndex = 0, Text = tokens.Text };
        int next = 0;
        for (int i = 0; i < tokens.TokenIds.Count; i++)
        {
            var token = new TokenInfo { TokenId = tokens.TokenIds[i] };
            if (tokens.Logprobs is { } logprobs)
            {
                token.Logprob = logprobs.TokenLogprobs[i];
                for (int end = next + logprobs.TopCounts[i]; next < end; next++)
                {
                    token.Candidates.Add(new LogProb { TokenId = logprobs.TopTokenIds[next], Logprob = logprobs.TopLogprobs[next] });
                }
            }

            output.Tokens.Add(token);
        }

        return output;
    }

    private GenerationFinished Translate(Finished finished)
    {
        var translated = new GenerationFinished
        {
            OutputIndex = 0,
            Reason = finished.Reason switch
            {
                OwnReason.Stop => TheirReason.Stop,
                OwnReason.Length or OwnReason.ContextFull => TheirReason.Length,
                _ => TheirReason.Cancelled,
            },
            Message = finished.Reason switch
            {
                OwnReason.ContextFull => "The context window is full.",
                OwnReason.Deadline => "The deadline is over.",
                _ => string.Empty,
            },
        };
        translated.StopMatch = finished.MatchedStopCase switch
        {
            Finished.MatchedStopOneofCase.StopString => new StopMatch { StopText = finished.StopString },
            Finished.MatchedStopOneofCase.StopTokenId when IsAskedFor(finished.StopTokenId) =>
                new StopMatch { StopTokenId = finished.StopTokenId },
            Finished.MatchedStopOneofCase.StopTokenId => new StopMatch { EosTokenId = finished.StopTokenId },
            _ => null,
        };
        return translated;
    }

    private bool IsAskedFor(uint id) => request.Stopping?.Conditions.Any(condition =>
        condition.ConditionCase == StopCondition.ConditionOneofCase.StopTokenId && condition.StopTokenId == id) == true;

    private static EngineError Translate(Error error) => new()
    {
        Code = error.Code switch
        {
            OwnError.Drained => TheirError.Draining,
            OwnError.SlowReader => TheirError.Overloaded,
            _ => TheirError.Internal,
        },
        Message = error.Message,
        Retryable = error.Retryable,
    };

    private static TheirUsage Translate(V1.Usage usage) => new()
    {
        PromptTokens = (uint)usage.PromptTokens,
        CompletionTokens = (uint)usage.CompletionTokens,
        TotalTokens = (uint)(usage.PromptTokens + usage.CompletionTokens),
        CachedPromptTokens = (uint)usage.CachedPromptTokens,
    };
}
