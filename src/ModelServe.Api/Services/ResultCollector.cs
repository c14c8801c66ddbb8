using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>A stream writer that keeps the events of a whole stream as one message, for the unary forms.</summary>
internal sealed class ResultCollector : IServerStreamWriter<GenerationEvent>
{
    private readonly GenerationResult _result = new() { Output = new Tokens { Text = string.Empty } };
    private readonly System.Text.StringBuilder _text = new();
    private readonly System.Text.StringBuilder _reasoning = new();
    private Error? _error;

    /// <inheritdoc/>
    public WriteOptions? WriteOptions { get; set; }

    /// <inheritdoc/>
    public Task WriteAsync(GenerationEvent message)
    {
        switch (message.EventCase)
        {
            case GenerationEvent.EventOneofCase.Accepted:
                _result.Accepted = message.Accepted;
                break;
            case GenerationEvent.EventOneofCase.Tokens:
                Append(message.Tokens);
                break;
            case GenerationEvent.EventOneofCase.Finished:
                _result.Finished = message.Finished;
                break;
            case GenerationEvent.EventOneofCase.Error:
                _error = message.Error;
                break;
            default:
                throw new ArgumentException($"an event of the stream; got {message.EventCase}", nameof(message));
        }

        return Task.CompletedTask;
    }

    /// <summary>The result of a stream that has ended.</summary>
    /// <exception cref="RpcException">The stream ended with an error, which is a status here.</exception>
    public GenerationResult Result()
    {
        if (_error is null)
        {
            _result.Output.Text = _text.ToString();
            if (_reasoning.Length > 0)
            {
                _result.Output.Reasoning = _reasoning.ToString();
            }

            MergeCalls(_result.Output.ToolCalls);
            return _result;
        }

        throw StatusOf(_error);
    }

    /// <summary>A terminal error as the status of a call that has no events for it.</summary>
    public static RpcException StatusOf(Error error) => error.Code switch
    {
        ErrorCode.Drained => RejectionStatus.ToException(
            new Rejection(RejectionReason.Draining, "server", "no requests while it is stopping", "this request")),
        ErrorCode.EngineFailed => RejectionStatus.ToException(
            new Rejection(RejectionReason.EngineFailed, "model", "a working engine", "one that failed")),
        ErrorCode.Exhausted => RejectionStatus.ToException(
            new Rejection(RejectionReason.OutOfMemory, "model", "memory for this request", "none left")),
        _ => new RpcException(new Status(StatusCode.Internal, error.Message)),
    };

    /// <summary>The deltas of each call become one entry; calls that were given up are text already and go.</summary>
    private static void MergeCalls(Google.Protobuf.Collections.RepeatedField<ToolCallDelta> deltas)
    {
        ToolCallDelta[] calls =
        [
            .. deltas.GroupBy(delta => delta.Index)
                .Where(call => call.All(delta => delta.State != ToolCallState.Abandoned))
                .Select(call => new ToolCallDelta
                {
                    Index = call.Key,
                    Id = call.First().Id,
                    Name = call.First().Name,
                    Arguments = string.Concat(call.Select(delta => delta.Arguments)),
                    State = ToolCallState.Complete,
                }),
        ];
        deltas.Clear();
        deltas.Add(calls);
    }

    private void Append(Tokens tokens)
    {
        // The pump fills one message again and again: everything is copied.
        _text.Append(tokens.Text);
        _reasoning.Append(tokens.Reasoning);
        _result.Output.ToolCalls.Add(tokens.ToolCalls);
        _result.Output.TokenIds.Add(tokens.TokenIds);
        // The one part that is made anew, once a request.
        _result.Output.PromptLogprobs ??= tokens.PromptLogprobs;
        if (tokens.Logprobs is { } logprobs)
        {
            Logprobs all = _result.Output.Logprobs ??= new Logprobs();
            all.TokenLogprobs.Add(logprobs.TokenLogprobs);
            all.TopCounts.Add(logprobs.TopCounts);
            all.TopTokenIds.Add(logprobs.TopTokenIds);
            all.TopLogprobs.Add(logprobs.TopLogprobs);
        }
    }
}
