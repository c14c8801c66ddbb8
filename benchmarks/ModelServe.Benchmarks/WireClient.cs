extern alias client;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using client::ModelServe.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace ModelServe.Benchmarks;

/// <summary>The client side of the wire table: the serving process, connections to it, and streams whose tokens are timed.</summary>
internal sealed class WireClient : IDisposable
{
    private const int Connections = 4;
    private readonly Process _server;
    private readonly GrpcChannel[] _channels;
    private readonly Inference.InferenceClient[] _clients;
    private readonly HttpClient _http;

    private WireClient(Process server, string grpc, string http, int vocabulary)
    {
        _server = server;
        Vocabulary = vocabulary;
        _channels = [.. Enumerable.Range(0, Connections).Select(_ => GrpcChannel.ForAddress(grpc))];
        _clients = [.. _channels.Select(channel => new Inference.InferenceClient(channel))];
        _http = new HttpClient { BaseAddress = new Uri(http) };
    }

    /// <summary>Token ids of the served model.</summary>
    public int Vocabulary { get; }

    /// <summary>Starts the serving process and connects.</summary>
    /// <param name="textFolder">The vocabulary.</param>
    /// <param name="slots">Sequences at once.</param>
    /// <param name="assembly">The benchmark's assembly to serve from; this one where it is null.</param>
    /// <param name="settings">Settings of its environment, each a name, an equals sign and a value.</param>
    public static async Task<WireClient> StartAsync(string textFolder, int slots, string? assembly = null, IReadOnlyList<string>? settings = null)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardInput = true };
        foreach (string argument in new[] { "exec", assembly ?? typeof(WireClient).Assembly.Location, "wire-server", textFolder, slots.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        foreach (string[] setting in (settings ?? []).Select(setting => setting.Split('=', 2)))
        {
            start.Environment[setting[0]] = setting[1];
        }

        Process server = Process.Start(start)!;
        string[] words = (await server.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("the server did not start")).Split(' ');
        return new WireClient(server, words[0], words[1], int.Parse(words[2], CultureInfo.InvariantCulture));
    }

    /// <summary>A request of the wire model that runs to its limit.</summary>
    public static GenerateRequest Request(int tokens, string model = "wire", int promptTokens = 16)
    {
        var request = new GenerateRequest
        {
            Model = model,
            TokenIds = new TokenIds(),
            Options = new GenerationOptions
            {
                Sampling = new SamplingParameters { Temperature = 0 },
                Stop = new StopConditions { MaxTokens = tokens, IgnoreEos = true },
            },
        };
        request.TokenIds.Ids.Add(Enumerable.Range(0, promptTokens).Select(i => (uint)(i + 10)));
        return request;
    }

    /// <summary>One of the connections' clients.</summary>
    public Inference.InferenceClient Client(int number) => _clients[number % Connections];

    /// <summary>Sets the length of a step, 0 for none.</summary>
    public Task PaceAsync(int milliseconds) => _http.GetStringAsync(new Uri($"/bench/pace/{milliseconds}", UriKind.Relative));

    /// <summary>What the serving process has used.</summary>
    public async Task<WireUsage> UsageAsync() => (await _http.GetFromJsonAsync<WireUsage>(new Uri("/bench/usage", UriKind.Relative)))!;

    /// <summary>Requests whose calls have not ended.</summary>
    public async Task<int> LiveAsync() =>
        int.Parse(await _http.GetStringAsync(new Uri("/bench/live", UriKind.Relative)), CultureInfo.InvariantCulture);

    /// <summary>Bytes of its managed heap after a full collection.</summary>
    public async Task<long> HeapAsync() =>
        long.Parse(await _http.GetStringAsync(new Uri("/bench/heap", UriKind.Relative)), CultureInfo.InvariantCulture);

    /// <summary>Milliseconds that each scrape since the last question took on the server's side.</summary>
    public async Task<double[]> ScrapesAsync() => (await _http.GetFromJsonAsync<double[]>(new Uri("/bench/scrapes", UriKind.Relative)))!;

    /// <summary>Milliseconds that each refusal since the last question took on the server's side.</summary>
    public async Task<double[]> RefusalsAsync() => (await _http.GetFromJsonAsync<double[]>(new Uri("/bench/refusals", UriKind.Relative)))!;

    /// <summary>Fetches the metrics page; returns its bytes.</summary>
    public async Task<int> MetricsAsync() => (await _http.GetByteArrayAsync(new Uri("/metrics", UriKind.Relative))).Length;

    /// <summary>Tokens in a message, on the mean since the server's start.</summary>
    public async Task<double> TokensPerMessageAsync()
    {
        string page = await _http.GetStringAsync(new Uri("/metrics", UriKind.Relative));
        double Value(string name) => double.Parse(
            page.Split('\n').First(line => line.StartsWith(name + "{model_name=\"wire\"", StringComparison.Ordinal)).Split(' ')[1], CultureInfo.InvariantCulture);
        return Value("modelserve:tokens_sent_total") / Value("modelserve:messages_sent_total");
    }

    /// <summary>Reads streams one after the other until told to stop; notes how long each message's last token travelled.</summary>
    /// <returns>Tokens received.</returns>
    public async Task<long> ReadAsync(int number, int tokens, List<int>? travels, CancellationToken stop)
    {
        long received = 0;
        try
        {
            while (!stop.IsCancellationRequested)
            {
                using AsyncServerStreamingCall<GenerationEvent> call = Client(number).Generate(Request(tokens), cancellationToken: stop);
                while (await call.ResponseStream.MoveNext(stop))
                {
                    if (call.ResponseStream.Current.Tokens is { TokenIds.Count: > 0 } message)
                    {
                        received += message.TokenIds.Count;
                        // The clock's value modulo the vocabulary; nothing travels as long as a whole turn of it.
                        travels?.Add((int)((ClockExecutor.Now() - message.TokenIds[^1] + (2L * Vocabulary)) % Vocabulary));
                    }
                }
            }
        }
        catch (RpcException) when (stop.IsCancellationRequested)
        {
        }
        catch (OperationCanceledException)
        {
        }

        return received;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (GrpcChannel channel in _channels)
        {
            channel.Dispose();
        }

        _http.Dispose();
        _server.StandardInput.Close();
        _server.WaitForExit();
        _server.Dispose();
    }
}
