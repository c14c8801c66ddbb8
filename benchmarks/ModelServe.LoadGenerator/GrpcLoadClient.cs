using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.V1;

namespace ModelServe.LoadGenerator;

/// <summary>One request of a plan over gRPC, whose events are only counted. Thread-safe.</summary>
internal sealed class GrpcLoadClient(GrpcChannel channel)
{
    private static readonly Method<GenerateRequest, EventCount> Generate = new(
        MethodType.ServerStreaming,
        "modelserve.v1.Inference",
        "Generate",
        Marshallers.Create<GenerateRequest>(
            (request, context) =>
            {
                context.SetPayloadLength(request.CalculateSize());
                request.WriteTo(context.GetBufferWriter());
                context.Complete();
            },
            _ => throw new NotSupportedException("requests are only sent")),
        Marshallers.Create<EventCount>(
            (_, _) => throw new NotSupportedException("events are only received"),
            context => EventCount.Read(context.PayloadAsReadOnlySequence())));

    private readonly CallInvoker _invoker = channel.CreateCallInvoker();

    /// <summary>Sends a request; tells its clock what each event brought.</summary>
    /// <exception cref="RpcException">The server refused it, or broke off.</exception>
    /// <exception cref="InvalidDataException">It failed after it was accepted.</exception>
    public async Task SendAsync(string model, uint[] prompt, RequestClock clock, CancellationToken cancellationToken)
    {
        var request = new GenerateRequest
        {
            Model = model,
            TokenIds = new TokenIds(),
            Options = new GenerationOptions
            {
                Sampling = new SamplingParameters { Temperature = 0 },
                Stop = new StopConditions { MaxTokens = clock.Capacity, IgnoreEos = true },
            },
        };
        request.TokenIds.Ids.Add(prompt);
        using AsyncServerStreamingCall<EventCount> call = _invoker.AsyncServerStreamingCall(Generate, null, new CallOptions(cancellationToken: cancellationToken), request);
        IAsyncStreamReader<EventCount> events = call.ResponseStream;
        while (await events.MoveNext(cancellationToken))
        {
            if (events.Current.Failure is { } failure)
            {
                throw new InvalidDataException(failure);
            }

            if (events.Current.Tokens > 0)
            {
                clock.Receive(events.Current.Tokens);
            }

            clock.CachedTokens ??= events.Current.CachedTokens;
        }
    }
}
