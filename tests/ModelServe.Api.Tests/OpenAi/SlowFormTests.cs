using System.Net;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Forms that take long to compile, and those who wait beside them.</summary>
public sealed class SlowFormTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    [Fact]
    public async Task A_form_that_is_slow_to_compile_holds_up_nobody_else()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("yes");
        await AnswerAsync(server, Texts, Text(",\"structured_outputs\":{\"choice\":[\"yes\",\"no\"]}"));
        // Where the quick one's own threads stood still for as long as all the slow ones took, nothing was seen, and others are tried.
        bool wasFirst = false;
        for (int tries = 0; !wasFirst && tries < 10; tries++)
        {
            wasFirst = await IsFirstAsync(server, tries);
        }

        Assert.True(wasFirst, "the quick one waited for the slow ones, again and again");
        // More of them than may wait: refused at once, to be tried again. The same again is known.
        using HttpResponseMessage again = await PostAsync(server, Texts, Slow(0));
        Assert.Equal(HttpStatusCode.BadRequest, again.StatusCode);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_client_that_leaves_while_its_form_compiles_leaves_nothing_behind()
    {
        await using WireServer server = await StartAsync();
        using var gone = new CancellationTokenSource();
        var request = new ModelServe.V1.GenerateRequest
        {
            TokenIds = new ModelServe.V1.TokenIds { Ids = { 104 } },
            Options = new ModelServe.V1.GenerationOptions { Form = new ModelServe.V1.OutputForm { Regex = "(a?b?c?){0,907}" } },
        };
        Task<ModelServe.V1.GenerationResult> call = server.Inference.GenerateUnaryAsync(request, cancellationToken: gone.Token).ResponseAsync;
        await gone.CancelAsync();
        Grpc.Core.RpcException cut = await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(() => call);
        Assert.Equal(Grpc.Core.StatusCode.Cancelled, cut.StatusCode);
        await server.QuiesceAsync();
    }

    /// <summary>Asks for six slow forms and then for a quick one; whether that one was there before the last of them.</summary>
    private static async Task<bool> IsFirstAsync(WireServer server, int tries)
    {
        Task<HttpResponseMessage>[] slow = [.. Enumerable.Range(0, 6).Select(i => PostAsync(server, Texts, Slow((6 * tries) + i)))];
        JsonElement quick = await AnswerAsync(server, Texts, Text($",\"structured_outputs\":{{\"choice\":[\"yes\",\"no\",\"maybe {tries}\"]}}"));
        bool isFirst = slow.Any(one => !one.IsCompleted);
        Assert.Equal("yes", quick.GetProperty("choices")[0].GetProperty("text").GetString());
        foreach (Task<HttpResponseMessage> one in slow)
        {
            using HttpResponseMessage answer = await one;
            Assert.True(answer.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.TooManyRequests, $"{answer.StatusCode}");
        }

        return isFirst;
    }

    // Half a second until it has more states than one may.
    private static string Slow(int i) => Text($",\"structured_outputs\":{{\"regex\":\"(a?b?c?){{0,{900 + i}}}\"}}");
}
