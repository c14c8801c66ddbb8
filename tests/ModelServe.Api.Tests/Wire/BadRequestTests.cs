using System.Text.RegularExpressions;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>The bad inputs of the gRPC contract, one after the other at one server that answers somebody else meanwhile.</summary>
public sealed partial class BadRequestTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task Every_bad_request_is_refused_by_name_and_harms_nobody()
    {
        using var fake = new FakeModel { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        Task<GenerationResult> good = server.Client.GenerateOnceAsync(Prompt(400), cancellationToken: Token);
        List<string> wrong = [];
        foreach ((string method, string body, string code, string field) in BadRequests.All)
        {
            RpcException? refused = await CallAsync(server, method, BadRequests.Message(method, body));
            if (refused is null || Problem(refused, code, field) is not null)
            {
                wrong.Add($"{(refused is null ? "answered" : Problem(refused, code, field))}: {method} {body[..Math.Min(body.Length, 160)]} -> {refused?.Status}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
        Assert.Equal(400, (await good).Output.TokenIds.Count);
        Assert.True(BadRequests.All.Count >= 120, $"only {BadRequests.All.Count} cases");
        await server.QuiesceAsync();
        Tally.Report("gRPC", "bad inputs, each refused by field and status", BadRequests.All.Count, 0, BadRequests.All.Count - wrong.Count);
        Tally.Report("gRPC", "good stream beside them", 1, 1, 0);
    }

    private static async Task<RpcException?> CallAsync(WireServer server, string method, IMessage message)
    {
        try
        {
            switch (message)
            {
                case GenerateRequest request:
                    await server.Inference.GenerateUnaryAsync(request, cancellationToken: Token);
                    break;
                case ChatRequest request:
                    await server.Inference.ChatUnaryAsync(request, cancellationToken: Token);
                    break;
                case TokenizeRequest request:
                    await server.Inference.TokenizeAsync(request, cancellationToken: Token);
                    break;
                case DetokenizeRequest request:
                    await server.Inference.DetokenizeAsync(request, cancellationToken: Token);
                    break;
                case AbortRequest request:
                    await new Control.ControlClient(server.Channel).AbortAsync(request, cancellationToken: Token);
                    break;
                default:
                    throw new InvalidOperationException($"no call for {method}");
            }

            return null;
        }
        catch (RpcException refused)
        {
            return refused;
        }
    }

    private static string? Problem(RpcException refused, string code, string field)
    {
        if (code.Length > 0 ? refused.StatusCode.ToString() != code : refused.StatusCode is not (Grpc.Core.StatusCode.InvalidArgument or Grpc.Core.StatusCode.Unimplemented))
        {
            return $"status, expected {code}";
        }

        ErrorInfo? info = refused.GetRpcStatus()?.GetDetail<ErrorInfo>();
        if (info is null || !info.Metadata["field"].StartsWith(field, StringComparison.Ordinal))
        {
            return $"field, expected {field}";
        }

        return refused.Status.Detail.Length > 1024 ? "shape" : Leak().IsMatch(refused.Status.Detail) ? "leak" : null;
    }

    [GeneratedRegex(@"System\.|Microsoft\.|\.cs\b|   at |/home/|/tmp/|Exception|ModelServe\.")]
    private static partial Regex Leak();
}
