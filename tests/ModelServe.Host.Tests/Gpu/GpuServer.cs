using System.Globalization;
using System.Text.RegularExpressions;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.Net.Client;
using ModelServe.Client;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Host.Tests.Gpu;

/// <summary>The serving program on the stub, as an operator starts it on a GPU, with a file through which the stub is told to fail.</summary>
internal sealed partial class GpuServer : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-gpu-").FullName;
    private GrpcChannel? _channel;

    /// <summary>Starts the program; a test that needs its ports calls <see cref="ReadyAsync"/>.</summary>
    /// <param name="stub">The library; where it is missing the test is skipped.</param>
    /// <param name="memory">Bytes of each device.</param>
    /// <param name="devices">Devices that the stub plays.</param>
    /// <param name="faultsAtStart">What the stub is told before it starts.</param>
    /// <param name="options">Further options of the serve command.</param>
    public GpuServer(GpuStub stub, long memory, int devices, string? faultsAtStart, params string[] options)
    {
        Assert.SkipWhen(stub.WhyMissing is not null, stub.WhyMissing ?? string.Empty);
        if (faultsAtStart is not null)
        {
            Order(faultsAtStart);
        }

        string all = devices == 1 ? "cuda" : string.Join(',', Enumerable.Range(0, devices).Select(i => $"cuda:{i}"));
        Dictionary<string, string> environment = new()
        {
            ["MS_STUB_DEVICES"] = devices.ToString(CultureInfo.InvariantCulture),
            ["MS_STUB_MEMORY"] = memory.ToString(CultureInfo.InvariantCulture),
            ["MS_STUB_FAULTS"] = Path.Combine(_folder, "faults"),
        };
        List<string> arguments = ["serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--kernel-library", stub.Library, .. options];
        foreach ((string option, string value) in new[] { ("--device", all), ("--max-model-len", "512"), ("--max-batched-tokens", "64"), ("--max-running", "8") })
        {
            arguments.AddRange(options.Contains(option) ? [] : [option, value]);
        }

        Process = ModelServeProcess.Start(environment, [.. arguments]);
    }

    /// <summary>The program.</summary>
    public ModelServeProcess Process { get; }

    /// <summary>A client; after <see cref="ReadyAsync"/>.</summary>
    public ModelServeClient Client => new(Channel, new ModelServeClientOptions { Retry = RetryOptions.None });

    /// <summary>The channel; after <see cref="ReadyAsync"/>.</summary>
    public GrpcChannel Channel => _channel ?? throw new InvalidOperationException("the server is not ready");

    /// <summary>Base address of HTTP; after <see cref="ReadyAsync"/>.</summary>
    public string Http { get; private set; } = "";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Waits until it listens.</summary>
    public async Task<GpuServer> ReadyAsync()
    {
        Match line = ReadyLine().Match(await Process.WaitForErrorTextAsync("ready: ", Cancellation));
        _channel = GrpcChannel.ForAddress(line.Groups["grpc"].Value);
        Http = line.Groups["http"].Value;
        return this;
    }

    /// <summary>From now on the stub has these faults: lines of "DEVICE POINT WHAT [AFTER]".</summary>
    public void Order(string faults)
    {
        // At once, so that the stub never reads half a line.
        string file = Path.Combine(_folder, "faults");
        File.WriteAllText(file + ".new", faults + "\n");
        File.Move(file + ".new", file, overwrite: true);
    }

    /// <summary>A question whose answer goes on for so many tokens.</summary>
    public static ChatRequest Long(int tokens, string? model = null)
    {
        ChatRequest request = new()
        {
            Messages = { new V1.ChatMessage { Role = "user", Content = "What is 27 + 58?" } },
            Options = new GenerationOptions { Stop = new StopConditions { IgnoreEos = true, MaxTokens = tokens } },
        };
        if (model is not null)
        {
            request.Model = model;
        }

        return request;
    }

    /// <summary>Streams answers that begin at once: all are taken in while the model stands still, then the stub is told its faults, and it goes on.</summary>
    public async Task<(V1.FinishReason? Reason, ErrorCode? Error, int Endings, int Tokens)[]> StreamTogetherAsync(int count, int tokens, string faults)
    {
        var control = new Control.ControlClient(Channel);
        await control.PauseAsync(new PauseRequest(), cancellationToken: Cancellation);
        int accepted = 0;
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<(V1.FinishReason?, ErrorCode?, int, int)>[] streams = [.. Enumerable.Range(0, count).Select(_ => StreamAsync(tokens, () =>
        {
            if (Interlocked.Increment(ref accepted) == count)
            {
                all.SetResult();
            }
        }))];
        await all.Task.WaitAsync(Cancellation);
        Order(faults);
        await control.ResumeAsync(new ResumeRequest(), cancellationToken: Cancellation);
        return await Task.WhenAll(streams);
    }

    /// <summary>Streams one answer to its end: the reason, or the error's code, and how many terminal events there were.</summary>
    public async Task<(V1.FinishReason? Reason, ErrorCode? Error, int Endings, int Tokens)> StreamAsync(int tokens, Action? onAccepted = null)
    {
        using AsyncServerStreamingCall<GenerationEvent> call = new Inference.InferenceClient(Channel).Chat(Long(tokens), cancellationToken: Cancellation);
        (V1.FinishReason? reason, ErrorCode? error, int endings, int count) = (null, null, 0, 0);
        await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Cancellation))
        {
            if (message.Accepted is not null)
            {
                onAccepted?.Invoke();
            }

            count += message.Tokens?.TokenIds.Count ?? 0;

            endings += message.EventCase is GenerationEvent.EventOneofCase.Finished or GenerationEvent.EventOneofCase.Error ? 1 : 0;
            reason = message.Finished?.Reason ?? reason;
            error = message.Error?.Code ?? error;
        }

        return (reason, error, endings, count);
    }

    /// <summary>The answer to a question that needs the right arithmetic all the way.</summary>
    public async Task<string> AnswerAsync(string? model = null)
    {
        ChatRequest request = Long(16, model);
        request.Options = null;
        return (await Client.ChatOnceAsync(request, cancellationToken: Cancellation)).Output.Text;
    }

    /// <summary>What grpc.health.v1 says of the whole server.</summary>
    public async Task<ServingStatus> HealthAsync() =>
        (await new Grpc.Health.V1.Health.HealthClient(Channel).CheckAsync(new HealthCheckRequest(), cancellationToken: Cancellation)).Status;

    /// <summary>The metrics page.</summary>
    public async Task<string> MetricsAsync()
    {
        using HttpClient client = new();
        return await client.GetStringAsync(new Uri(Http + "/metrics"), Cancellation);
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _channel?.Dispose();
        Process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [GeneratedRegex(@"gRPC (?<grpc>http://[^,\s]+), HTTP (?<http>http://\S+)")]
    private static partial Regex ReadyLine();
}
