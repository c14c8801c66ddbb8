using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Observability;

/// <summary>The status page: its numbers, its protection, and what it does in a browser.</summary>
/// <remarks>The browser needs node, playwright-core (npm install in tests/oracles/browser) and a Chromium; without them its test says so and is skipped.</remarks>
public sealed class StatusPageTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private static readonly string[] Chromiums = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/status/page.css", "text/css")]
    [InlineData("/status/page.js", "text/javascript")]
    [InlineData("/status/series.js", "text/javascript")]
    [InlineData("/status/chat.js", "text/javascript")]
    [InlineData("/status/mark.svg", "image/svg+xml")]
    [InlineData("/status/data", "application/json")]
    public async Task Every_part_is_served_under_a_policy_that_lets_nothing_else_in(string path, string contentType)
    {
        await using WireServer server = await StartAsync();
        using HttpResponseMessage response = await server.Http.GetAsync(new Uri(path, UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(contentType, response.Content.Headers.ContentType?.MediaType);
        string policy = Assert.Single(response.Headers.GetValues("Content-Security-Policy"));
        Assert.StartsWith("default-src 'none';", policy, StringComparison.Ordinal);
        Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
        Assert.Equal("nosniff", Assert.Single(response.Headers.GetValues("X-Content-Type-Options")));
        string body = await response.Content.ReadAsStringAsync(Token);
        Assert.DoesNotContain("http://", body.Replace("http://www.w3.org/2000/svg", string.Empty, StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.DoesNotContain("https://", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_numbers_are_those_of_the_engine_and_name_live_requests_without_their_text()
    {
        await using WireServer server = await StartAsync();
        await server.Client.GenerateOnceAsync(Prompt(10), cancellationToken: Token);
        server.Fake.Hold();
        using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(
            Prompt(5, options => options.RequestId = "visible", "hidden words"), cancellationToken: Token);
        Assert.True(await call.ResponseStream.MoveNext(Token));
        string text = await server.Http.GetStringAsync(new Uri("/status/data", UriKind.Relative), Token);
        using JsonDocument data = JsonDocument.Parse(text);
        JsonElement model = data.RootElement.GetProperty("models")[0];
        Assert.Equal("fake", model.GetProperty("name").GetString());
        Assert.Equal("Serving", model.GetProperty("condition").GetString());
        Assert.Equal(10, model.GetProperty("generated_tokens").GetInt64());
        Assert.Equal(1, model.GetProperty("first_token").GetProperty("counts").EnumerateArray().Sum(count => count.GetInt64()));
        JsonElement request = data.RootElement.GetProperty("requests")[0];
        Assert.Equal("visible", request.GetProperty("id").GetString());
        Assert.Equal(13, request.GetProperty("prompt_tokens").GetInt32());
        Assert.Equal(1, data.RootElement.GetProperty("server").GetProperty("live_requests").GetInt32());
        Assert.DoesNotContain("hidden", text, StringComparison.Ordinal);
        server.Fake.Release();
    }

    [Fact]
    public async Task A_visitor_sees_the_load_chats_by_keyboard_and_is_asked_for_a_key()
    {
        string oracle = Path.Combine(MetricTable.Root, "tests", "oracles", "browser");
        Assert.SkipUnless(Directory.Exists(Path.Combine(oracle, "node_modules", "playwright-core")), "playwright-core is not installed: npm install in tests/oracles/browser");
        string? chromium = Chromiums.FirstOrDefault(File.Exists);
        Assert.SkipUnless(chromium is not null, $"no Chromium is installed: {string.Join(", ", Chromiums)}");
        string folder = Directory.CreateDirectory(Path.Combine(MetricTable.Root, "artifacts", "status-page")).FullName;
        // Each lasts for longer than the visit.
        using var fake = new FakeModel(context: 4096, blocks: 2100) { StepTime = TimeSpan.FromMilliseconds(50) };
        await using WireServer server = await StartAsync(null, fake);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task[] load = [.. Enumerable.Range(0, 3).Select(i => StreamAsync(server, i, stop.Token))];
        await WireServer.EventuallyAsync(() => server.Status.Running == 3, "the load runs");
        using JsonDocument seen = JsonDocument.Parse(await BrowseAsync(oracle, server.HttpAddress.ToString(), chromium!, folder));
        JsonElement root = seen.RootElement;
        Assert.Empty(Texts(root, "errors"));
        Assert.Equal([server.HttpAddress.Authority], Texts(root, "hosts"));
        Assert.Equal("skip", root.GetProperty("firstFocus").GetString());
        Assert.Equal("Eighty-five <b>exactly</b>", root.GetProperty("answer").GetString());
        Assert.Equal(0, root.GetProperty("injected").GetInt32());
        Assert.StartsWith("2 tokens", root.GetProperty("note").GetString(), StringComparison.Ordinal);
        Assert.Equal("What is 27 + 58?", root.GetProperty("asked").GetProperty("messages")[0].GetProperty("content").GetString());
        Assert.True(root.GetProperty("asked").GetProperty("stream").GetBoolean());
        Assert.Equal("serving", root.GetProperty("health").GetString());
        Assert.Equal(["fake"], Texts(root, "models"));
        Assert.Equal(3, root.GetProperty("requests").GetInt32());
        Assert.NotEqual("0", root.GetProperty("output").GetString());
        Assert.Equal(0, root.GetProperty("unnamed").GetInt32());
        Assert.Equal("light", root.GetProperty("themeAfterClick").GetString());
        Assert.Equal(0, root.GetProperty("stored").GetInt32());
        Assert.InRange(root.GetProperty("phoneOverflow").GetInt32(), int.MinValue, 0);
        Assert.Equal(new[] { null, "Bearer wrong", "Bearer right" }, root.GetProperty("keys").EnumerateArray().Select(key => key.GetString()));
        Assert.Equal(0, root.GetProperty("keyStored").GetInt32());
        Assert.True(root.GetProperty("blocked").GetBoolean());
        await stop.CancelAsync();
        await Task.WhenAll(load);
    }

    private static string?[] Texts(JsonElement root, string name) => [.. root.GetProperty(name).EnumerateArray().Select(text => text.GetString())];

    private static async Task StreamAsync(WireServer server, int number, CancellationToken stop)
    {
        try
        {
            while (true)
            {
                await foreach (GenerationEvent message in server.Client.GenerateAsync(Prompt(3000, text: $"load {number}"), cancellationToken: stop))
                {
                    _ = message;
                }
            }
        }
        catch (RpcException exception) when (exception.StatusCode == StatusCode.Cancelled)
        {
        }
        catch (OperationCanceledException)
        {
        }
    }

    private static async Task<string> BrowseAsync(string oracle, string address, string chromium, string folder)
    {
        var start = new ProcessStartInfo("node") { WorkingDirectory = oracle, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in new[] { "status-page.mjs", address, chromium, folder })
        {
            start.ArgumentList.Add(argument);
        }

        using Process node = Process.Start(start)!;
        Task<string> errors = node.StandardError.ReadToEndAsync(Token);
        string output = await node.StandardOutput.ReadToEndAsync(Token);
        await node.WaitForExitAsync(Token);
        Assert.True(node.ExitCode == 0, await errors);
        return output;
    }
}
