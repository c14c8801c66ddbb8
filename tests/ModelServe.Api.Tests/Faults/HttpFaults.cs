using System.Net;
using System.Text;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Faults 1, 11 and 18 over the OpenAI dialect: several outputs of one request live and die together.</summary>
public sealed class HttpFaults(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    [Fact]
    public async Task A_client_that_leaves_a_request_of_several_outputs_frees_all_of_them()
    {
        using var fake = new FakeModel(context: 4096, blocks: 2100) { StepTime = TimeSpan.FromMilliseconds(20) };
        await using WireServer server = await StartAsync(null, fake);
        for (int i = 0; i < 10; i++)
        {
            using HttpResponseMessage response = await SendAsync(server, """{"model":"fake","prompt":"several","n":3,"max_tokens":4000,"stream":true}""");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            await using Stream body = await response.Content.ReadAsStreamAsync(Token);
            await body.ReadExactlyAsync(new byte[64], Token);
            Assert.Equal(3, server.Drain.LiveRequestCount);
            response.Dispose();
            await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 0, "all three are gone");
        }

        await QuietAsync(server);
        Assert.Equal(30, await server.SumAsync("modelserve:requests_ended_total", "reason=\"Cancelled\""));
        Tally.Fault(11, "requests of three outputs left by their client", 10, 0, 10);
    }

    [Fact]
    public async Task A_failed_engine_ends_a_stream_with_an_error_and_no_end_mark()
    {
        using var fake = new FakeModel(context: 4096, blocks: 2100) { StepTime = TimeSpan.FromMilliseconds(20) };
        await using WireServer server = await StartAsync(null, fake);
        using HttpResponseMessage response = await SendAsync(server, """{"model":"fake","prompt":"several","n":2,"max_tokens":4000,"stream":true}""");
        await using Stream body = await response.Content.ReadAsStreamAsync(Token);
        await body.ReadExactlyAsync(new byte[64], Token);
        fake.Failure = "the device fell off the bus";
        var rest = new MemoryStream();
        // The error event is followed by the end of the connection, not by a clean end.
        await Assert.ThrowsAnyAsync<Exception>(() => body.CopyToAsync(rest, Token));
        string text = Encoding.UTF8.GetString(rest.ToArray());
        Assert.Contains("\"error\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        Assert.DoesNotContain("bus", text, StringComparison.Ordinal);
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 0, "nothing is live");
        Tally.Fault(18, "an engine that fails under a stream over HTTP", 1, 0, 1);
    }

    private static async Task<HttpResponseMessage> SendAsync(WireServer server, string json)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative))
        {
            Content = new StringContent(json, Encoding.UTF8, "application/json"),
        };
        return await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
    }
}
