using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>The contract as grpc-js understands it. Skipped where node or its packages are absent (npm install in tests/oracles/grpc-js).</summary>
public sealed class ForeignClientTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_client_in_JavaScript_streams_a_chat()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("Grüße aus 東京 🙂");
        JsonElement seen = await RunAsync(server, "chat");
        Assert.Equal("Grüße aus 東京 🙂", seen.GetProperty("text").GetString());
        Assert.Equal(["accepted", "tokens", "finished"], seen.GetProperty("events").EnumerateArray().Select(name => name.GetString()!));
        Assert.Equal("FINISH_REASON_STOP", seen.GetProperty("reason").GetString());
        Assert.Equal("OK", seen.GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_client_in_JavaScript_is_told_the_bad_field()
    {
        await using WireServer server = await StartAsync();
        JsonElement seen = await RunAsync(server, "bad-field");
        Assert.Equal("INVALID_ARGUMENT", seen.GetProperty("status").GetString());
        Assert.Contains("options.sampling.temperature", seen.GetProperty("details").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_in_JavaScript_that_cancels_frees_its_request()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = TimeSpan.FromMilliseconds(5);
        JsonElement seen = await RunAsync(server, "cancel");
        Assert.Equal("CANCELLED", seen.GetProperty("status").GetString());
        await server.QuiesceAsync();
    }

    private static async Task<JsonElement> RunAsync(WireServer server, string mode)
    {
        string root = RepositoryRoot();
        string oracle = Path.Combine(root, "tests", "oracles", "grpc-js");
        if (!Directory.Exists(Path.Combine(oracle, "node_modules", "@grpc", "grpc-js")))
        {
            Assert.Skip("grpc-js is not installed: npm install in tests/oracles/grpc-js");
        }

        var start = new ProcessStartInfo("node")
        {
            WorkingDirectory = oracle,
            RedirectStandardOutput = true,
            ArgumentList =
            {
                "chat.mjs", server.GrpcAddress.Authority, Path.Combine(root, "src", "ModelServe.Api", "Protos"), "hello", mode,
            },
        };
        using Process node = Start(start);
        string output = await node.StandardOutput.ReadToEndAsync(Token);
        await node.WaitForExitAsync(Token);
        return JsonDocument.Parse(output).RootElement.Clone();
    }

    private static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            Assert.Skip($"node is not installed: {exception.Message}");
            throw;
        }
    }

    private static string RepositoryRoot()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "ModelServe.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside their repository");
    }
}
