using System.Text.RegularExpressions;
using ModelServe.Client;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Cli;

/// <summary>Real checkpoints come and go in a serving process.</summary>
public sealed partial class ModelLoadingTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("modelserve-models-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static string Shipped => Path.Combine(AppContext.BaseDirectory, "models", "tiny-nano");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task A_checkpoint_is_loaded_answers_and_is_unloaded_beside_another_one()
    {
        Copy("nano");
        using ModelServeProcess server = Start();
        using ModelServeClient client = await ConnectAsync(server);
        List<LoadModelEvent> events = await LoadAsync(client, "nano");
        Assert.Contains(events, message => message.Progress is { Stage: LoadStage.Weights, File: "model.safetensors" } progress
            && progress.Bytes <= progress.BytesTotal);
        ChatRequest request = Question("nano");
        Assert.Matches("^[0-9]+$", (await client.ChatOnceAsync(request, cancellationToken: Cancellation)).Output.Text);
        await foreach (UnloadModelEvent message in client.Admin.UnloadAsync(new UnloadModelRequest { Model = "nano" }, Cancellation))
        {
            Assert.True(message.Unloaded?.EndedRequests is null or 0);
        }

        RequestRefusedException refused = await Assert.ThrowsAsync<RequestRefusedException>(
            () => client.ChatOnceAsync(request, cancellationToken: Cancellation));
        Assert.Equal(RefusalReason.ModelUnloaded, refused.Reason);
        Assert.Equal("85", (await client.ChatOnceAsync(Question("tiny-mini"), cancellationToken: Cancellation)).Output.Text);
        await LoadAsync(client, "nano");
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task A_damaged_checkpoint_is_refused_by_file_without_its_folder_and_harms_nobody()
    {
        Copy("short");
        string weights = Path.Combine(_root, "short", "model.safetensors");
        byte[] bytes = await File.ReadAllBytesAsync(weights, Cancellation);
        await File.WriteAllBytesAsync(weights, bytes[..(bytes.Length / 2)], Cancellation);
        Copy("bare");
        File.Delete(Path.Combine(_root, "bare", "tokenizer.json"));
        Copy("pickle");
        File.Delete(Path.Combine(_root, "pickle", "model.safetensors"));
        await File.WriteAllTextAsync(Path.Combine(_root, "pickle", "pytorch_model.bin"), "x", Cancellation);
        using ModelServeProcess server = Start();
        using ModelServeClient client = await ConnectAsync(server);
        foreach ((string name, string file) in new[] { ("short", "model.safetensors"), ("bare", "tokenizer"), ("pickle", "safetensors") })
        {
            RequestRefusedException refused = await Assert.ThrowsAsync<RequestRefusedException>(() => LoadAsync(client, name));
            Assert.Equal((name, RefusalReason.LoadRefused), (name, refused.Reason));
            Assert.Contains(file, refused.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(_root, refused.Message, StringComparison.Ordinal);
        }

        Assert.Equal("85", (await client.ChatOnceAsync(Question("tiny-mini"), cancellationToken: Cancellation)).Output.Text);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Theory]
    [InlineData("--model-root", "/does/not/exist", "--model-root")]
    [InlineData("--facades", "vllm,triton", "triton")]
    [InlineData("--facades", "", "--facades")]
    public async Task A_wrong_option_ends_the_process_before_it_serves(string option, string value, string named)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", option, value);
        Assert.NotEqual(0, code);
        Assert.Contains(named, errors, StringComparison.Ordinal);
    }

    private ModelServeProcess Start() =>
        ModelServeProcess.Start("serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--model-root", _root);

    private static async Task<ModelServeClient> ConnectAsync(ModelServeProcess server) =>
        ModelServeClient.Connect(new Uri(GrpcAddress().Match(await server.WaitForErrorTextAsync("ready: ", Cancellation)).Groups[1].Value));

    private static async Task<List<LoadModelEvent>> LoadAsync(ModelServeClient client, string name)
    {
        List<LoadModelEvent> events = [];
        await foreach (LoadModelEvent message in client.Admin.LoadAsync(new LoadModelRequest { Model = name }, Cancellation))
        {
            events.Add(message);
        }

        Assert.Equal(ModelState.Serving, events[^1].Loaded.State);
        return events;
    }

    private static ChatRequest Question(string model) => new()
    {
        Model = model,
        Messages = { new ChatMessage { Role = "user", Content = "What is 27 + 58?" } },
    };

    private void Copy(string name)
    {
        string target = Directory.CreateDirectory(Path.Combine(_root, name)).FullName;
        foreach (string file in Directory.EnumerateFiles(Shipped))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }
    }

    [GeneratedRegex(@"gRPC (http://[^,\s]+)")]
    private static partial Regex GrpcAddress();
}
