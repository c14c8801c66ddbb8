using System.Text.RegularExpressions;
using ModelServe.Api.Tests.Contract;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Client;

/// <summary>Every piece of C# in a document is a sample that compiles, and every sample runs.</summary>
public sealed partial class SampleTests(SyntheticCheckpoint checkpoint) : ContractTest(checkpoint)
{
    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/grpc.md")]
    [InlineData("src/ModelServe.Client/README.md")]
    public async Task The_documents_show_samples_and_nothing_else(string document)
    {
        string text = await File.ReadAllTextAsync(Path.Combine(Repository.Root, document), Token);
        HashSet<string> samples = [.. Samples()];
        string[] shown = [.. Block().Matches(text).Select(match => Normal(match.Groups[1].Value))];
        Assert.NotEmpty(shown);
        Assert.All(shown, block => Assert.Contains(block, samples));
    }

    [Fact]
    public async Task The_chat_sample_prints_the_answer()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("85");
        Assert.Equal("85", await Client.Samples.ChatAsync(server.GrpcAddress));
    }

    [Fact]
    public async Task The_events_sample_prints_every_event()
    {
        await using WireServer server = await StartAsync();
        string printed = await Client.Samples.EventsAsync(server.Client, Token);
        Assert.Contains("temperature 0.7", printed, StringComparison.Ordinal);
        Assert.Contains("Length after 64 tokens", printed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_refused_sample_names_the_field()
    {
        await using WireServer server = await StartAsync();
        GenerateRequest request = Prompt(set: options => options.Sampling.TopP = 2);
        Assert.StartsWith("options.sampling.top_p must be", await Client.Samples.RefusedAsync(server.Client, request), StringComparison.Ordinal);
        server.Drain.Begin();
        Assert.StartsWith("Draining: try again in 00:00:00", await Client.Samples.RefusedAsync(server.Client, Prompt()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_options_sample_connects()
    {
        await using WireServer server = await StartAsync();
        Assert.Equal("modelserve", await Client.Samples.OptionsAsync(server.GrpcAddress));
    }

    [Fact]
    public async Task The_chat_client_sample_prints_answer_and_count()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("85");
        Assert.StartsWith("85 (3 tokens)", await Client.Samples.ChatClientAsync(server.Client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_load_sample_prints_progress_and_the_model()
    {
        await using WireServer server = await StartLoadingAsync();
        Assert.Contains("small is Serving", await Client.Samples.LoadAsync(server.Client, "small"), StringComparison.Ordinal);
    }

    private static IEnumerable<string> Samples()
    {
        string source = File.ReadAllText(Path.Combine(Repository.Root, "tests", "ModelServe.Api.Tests", "Client", "Samples.cs"));
        return Region().Matches(source).Select(match => Normal(match.Groups[1].Value));
    }

    /// <summary>Without indentation, and as a program with the usual usings would write it.</summary>
    private static string Normal(string code)
    {
        string[] lines = [.. code.Trim('\n').Split('\n').Where(line => !line.StartsWith("using ", StringComparison.Ordinal) || line.Contains('=', StringComparison.Ordinal))];
        int indent = lines.Where(line => line.Trim().Length > 0).Min(line => line.Length - line.TrimStart().Length);
        return string.Join('\n', lines.Select(line => line.Length >= indent ? line[indent..].TrimEnd() : string.Empty)).Trim()
            .Replace("V1.ChatMessage", "ChatMessage", StringComparison.Ordinal)
            .Replace("ModelServeClient.Connect(address", "ModelServeClient.Connect(new Uri(\"http://127.0.0.1:8001\")", StringComparison.Ordinal)
            .Replace("Model = name, Directory = \"extra\"", "Model = \"small\", Directory = \"Llama-3.2-1B\"", StringComparison.Ordinal);
    }

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Block();

    [GeneratedRegex(@"// sample: [a-z-]+\n(.*?)\n *// end", RegexOptions.Singleline)]
    private static partial Regex Region();
}
