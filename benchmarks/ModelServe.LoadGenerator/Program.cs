using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text.Json;
using Grpc.Net.Client;
using ModelServe.Client;
using ModelServe.Execution.Native;
using ModelServe.V1;

namespace ModelServe.LoadGenerator;

/// <summary>Drives a server on this machine with generated requests and prints what its clients saw, as one JSON object.</summary>
internal static class Program
{
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public static Task<int> Main(string[] arguments)
    {
        var address = new Option<string>("--address") { DefaultValueFactory = _ => "http://127.0.0.1:8001" };
        var model = new Option<string?>("--model");
        var concurrency = new Option<int>("--concurrency")
        {
            DefaultValueFactory = _ => 8,
            Description = "Closed loop: requests in flight. Without effect beside --rate.",
        };
        var rate = new Option<double?>("--rate") { Description = "Open loop: mean arrivals a second, Poisson." };
        var requests = new Option<int>("--requests") { DefaultValueFactory = _ => 64 };
        var warmup = new Option<int>("--warmup") { DefaultValueFactory = _ => 16, Description = "Requests before the measured ones, sent in the same way." };
        var prompt = new Option<int>("--prompt-tokens") { DefaultValueFactory = _ => 64 };
        var output = new Option<int>("--output-tokens") { DefaultValueFactory = _ => 64 };
        var shared = new Option<int>("--shared-prefix-tokens") { Description = "Leading prompt tokens that all requests share." };
        var connections = new Option<int>("--connections") { DefaultValueFactory = _ => 1 };
        var http = new Option<string?>("--http") { Description = "Send the requests over the OpenAI dialect to this address; gRPC then only describes the model." };
        var seed = new Option<int>("--seed") { DefaultValueFactory = _ => Environment.TickCount ^ Environment.ProcessId, Description = "Of prompts and arrivals; by default another each time, else a server's prefix cache would answer a second run." };
        var besideRate = new Option<double>("--beside-rate") { Description = "Mean arrivals a second of requests for one token beside the measured ones, Poisson; 0 for none." };
        var besidePrompt = new Option<int>("--beside-prompt-tokens") { DefaultValueFactory = _ => 512, Description = "Tokens of their prompts." };
        var command = new RootCommand("Load for a ModelServe server on this machine; prints latencies and throughput as JSON.")
        {
            address, model, concurrency, rate, requests, warmup, prompt, output, shared, connections, http, seed, besideRate, besidePrompt,
        };
        command.SetAction((parsed, token) => RunAsync(
            parsed.GetValue(address)!,
            new LoadPlan(
                parsed.GetValue(model),
                parsed.GetValue(rate),
                parsed.GetValue(concurrency),
                parsed.GetValue(requests),
                parsed.GetValue(warmup),
                parsed.GetValue(prompt),
                parsed.GetValue(output),
                parsed.GetValue(shared),
                parsed.GetValue(seed),
                parsed.GetValue(besideRate),
                parsed.GetValue(besidePrompt)),
            parsed.GetValue(connections),
            parsed.GetValue(http),
            token));
        return command.Parse(arguments).InvokeAsync();
    }

    private static async Task<int> RunAsync(string text, LoadPlan plan, int connections, string? http, CancellationToken cancellationToken)
    {
        // A load generator that can be pointed at others is a weapon; this one measures the machine it runs on.
        if (!IsLoopback(text, out Uri? address))
        {
            await Console.Error.WriteLineAsync($"--address: an http address on loopback, such as http://127.0.0.1:8001; got {text}");
            return 2;
        }

        Uri? httpAddress = null;
        if (http is not null && !IsLoopback(http, out httpAddress))
        {
            await Console.Error.WriteLineAsync($"--http: an http address on loopback, such as http://127.0.0.1:8000; got {http}");
            return 2;
        }

        if (plan.Problem(connections) is { } problem)
        {
            await Console.Error.WriteLineAsync(problem);
            return 2;
        }

        // A client elsewhere would not wait for the processors that the server computes on.
        ThreadTurns.AskForAll(ThreadTurns.ForAnswers);
        GrpcChannel[] channels = [.. Enumerable.Range(0, connections).Select(_ => GrpcChannel.ForAddress(address))];
        try
        {
            using HttpLoadClient? client = httpAddress is null ? null : new HttpLoadClient(httpAddress);
            using var described = new ModelServeClient(channels[0]);
            Model model = await described.GetModelAsync(plan.Model, cancellationToken);
            GrpcLoadClient[] clients = [.. channels.Select(channel => new GrpcLoadClient(channel))];
            SendRequest send = client is null
                ? (number, prompt, clock, token) => clients[number % clients.Length].SendAsync(model.Name, prompt, clock, token)
                : (_, prompt, clock, token) => client.SendAsync(model.Name, prompt, clock, token);
            LoadReport report = await new LoadRun(plan, model, send).RunAsync(cancellationToken);
            Console.WriteLine(JsonSerializer.Serialize(report, Indented));
            return report.Failed == 0 ? 0 : 1;
        }
        finally
        {
            foreach (GrpcChannel channel in channels)
            {
                channel.Dispose();
            }
        }
    }

    private static bool IsLoopback(string text, [NotNullWhen(true)] out Uri? address) =>
        Uri.TryCreate(text, UriKind.Absolute, out address)
        && IPAddress.TryParse(address.Host, out IPAddress? host) && IPAddress.IsLoopback(host);
}
