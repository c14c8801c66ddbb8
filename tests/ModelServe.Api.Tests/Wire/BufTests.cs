using System.Text.Json;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>The contract as buf reads, compares and calls it. Skipped where it is not installed (npm install in tests/oracles/buf).</summary>
public sealed class BufTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private static string Oracle => Path.Combine(Repository.Root, "tests", "oracles", "buf");

    private static string Protos => Path.Combine(Repository.Root, "src", "ModelServe.Api", "Protos");

    [Fact]
    public async Task The_contracts_are_clean_and_break_nothing_that_was_published()
    {
        (int code, string output) = await RunAsync("bash", Path.Combine(Oracle, "check.sh"));
        Assert.True(code == 0, output);
    }

    [Fact]
    public async Task A_planted_renumbering_is_caught()
    {
        string copy = Directory.CreateTempSubdirectory("modelserve-protos-").FullName;
        try
        {
            foreach (string file in Directory.EnumerateFiles(Protos, "*", SearchOption.AllDirectories))
            {
                string target = Path.Combine(copy, Path.GetRelativePath(Protos, file));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(file, target);
            }

            string models = Path.Combine(copy, "modelserve", "v1", "models.proto");
            string text = await File.ReadAllTextAsync(models, Token);
            Assert.Contains("optional int64 waiting_tokens = 3;", text, StringComparison.Ordinal);
            await File.WriteAllTextAsync(
                models, text.Replace("optional int64 waiting_tokens = 3;", "optional int64 waiting_tokens = 33;", StringComparison.Ordinal), Token);
            (int code, string output) = await RunAsync(Buf(), "breaking", copy, "--against", Path.Combine(Oracle, "baseline.binpb"));
            Assert.NotEqual(0, code);
            Assert.Contains("waiting_tokens", output, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public async Task Buf_curl_streams_a_chat_from_a_running_server_by_reflection()
    {
        await using WireServer server = await StartAsync(new ApiOptions { Reflection = true });
        server.Fake.Writes("curled");
        const string Request = """{"messages":[{"role":"user","content":"hello"}],"options":{"sampling":{"temperature":0}}}""";
        (int code, string output) = await CurlAsync(server, "modelserve.v1.Inference/Chat", Request);
        Assert.True(code == 0, output);
        JsonElement[] events = Messages(output);
        Assert.True(events[0].TryGetProperty("accepted", out _));
        Assert.Equal("curled", string.Concat(events.Where(Has("tokens")).Select(message => TextOf(message.GetProperty("tokens")))));
        Assert.Equal("FINISH_REASON_STOP", events[^1].GetProperty("finished").GetProperty("reason").GetString());
    }

    [Fact]
    public async Task Buf_curl_is_refused_with_details_that_it_can_read()
    {
        await using WireServer server = await StartAsync(new ApiOptions { Reflection = true });
        const string Request = """{"messages":[{"role":"user","content":"hello"}],"options":{"sampling":{"topP":9}}}""";
        (int code, string output) = await CurlAsync(server, "modelserve.v1.Inference/Chat", Request);
        Assert.NotEqual(0, code);
        Assert.Contains("invalid_argument", output, StringComparison.Ordinal);
        Assert.Contains("options.sampling.top_p", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("modelserve.v1.Control/ServerInfo", "{}", "schemaRevision")]
    [InlineData("vllm.grpc.engine.VllmEngine/GetModelInfo", "{}", "servedModelName")]
    [InlineData("openengine.v1.Control/GetServerInfo", "{}", "engineName")]
    [InlineData("inference.GRPCInferenceService/ModelReady", """{"name":"fake"}""", "ready")]
    public async Task Buf_curl_reaches_every_interface(string method, string request, string field)
    {
        await using WireServer server = await StartAsync(new ApiOptions { Reflection = true });
        (int code, string output) = await CurlAsync(server, method, request);
        Assert.True(code == 0, output);
        Assert.True(Assert.Single(Messages(output)).TryGetProperty(field, out _));
    }

    private static Task<(int Code, string Output)> CurlAsync(WireServer server, string method, string request) => RunAsync(
        Buf(), "curl", "--http2-prior-knowledge", "--protocol", "grpc", "--data", request, new Uri(server.GrpcAddress, method).ToString());

    private static Func<JsonElement, bool> Has(string name) => message => message.TryGetProperty(name, out _);

    private static string TextOf(JsonElement tokens) => tokens.TryGetProperty("text", out JsonElement text) ? text.GetString()! : string.Empty;

    private static JsonElement[] Messages(string output)
    {
        List<JsonElement> messages = [];
        var reader = new Utf8JsonReader(
            System.Text.Encoding.UTF8.GetBytes(output), new JsonReaderOptions { AllowMultipleValues = true });
        while (reader.Read())
        {
            messages.Add(JsonElement.ParseValue(ref reader));
        }

        return [.. messages];
    }

    private static string Buf() => Path.Combine(ForeignProcess.Folder("buf", "@bufbuild/buf"), "node_modules", ".bin", "buf");

    private static Task<(int Code, string Output)> RunAsync(string program, params string[] arguments) =>
        ForeignProcess.RunAsync(program, ForeignProcess.Folder("buf", "@bufbuild/buf"), arguments);
}
