using System.Net;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Client;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>The wire side on real Kestrel ports of the loopback interface, in front of fake models.</summary>
public sealed class WireServer : IAsyncDisposable
{
    public const string Model = "fake";

    private readonly WebApplication _application;
    private readonly FakeModel[] _models;

    private WireServer(WebApplication application, FakeModel[] models, Uri grpc, Uri http)
    {
        _application = application;
        _models = models;
        GrpcAddress = grpc;
        HttpAddress = http;
        Channel = GrpcChannel.ForAddress(grpc, new GrpcChannelOptions { MaxReceiveMessageSize = null });
        // Tests of refusals want to see them.
        Client = new ModelServeClient(Channel, new ModelServeClientOptions { Retry = RetryOptions.None });
        Inference = new Inference.InferenceClient(Channel);
        Http = new HttpClient { BaseAddress = http };
    }

    public Uri GrpcAddress { get; }

    public Uri HttpAddress { get; }

    public GrpcChannel Channel { get; }

    public ModelServeClient Client { get; }

    public Inference.InferenceClient Inference { get; }

    public HttpClient Http { get; }

    public FakeModel Fake => _models[0];

    public EngineStatus Status => Fake.Engine.Status;

    public IServiceProvider Services => _application.Services;

    public ServerDrain Drain => _application.Services.GetRequiredService<ServerDrain>();

    /// <summary>Requests that named a model and were refused so far.</summary>
    public Task<double> RejectedAsync() => SumAsync("modelserve:requests_rejected_total");

    /// <summary>Sum of a metric over its series whose labels contain a text.</summary>
    public async Task<double> SumAsync(string name, string label = "")
    {
        string page = await Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), TestContext.Current.CancellationToken);
        return page.Split('\n').Where(line => line.StartsWith(name + "{", StringComparison.Ordinal) && line.Contains(label, StringComparison.Ordinal))
            .Sum(line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], System.Globalization.CultureInfo.InvariantCulture));
    }

    /// <summary>Starts a server; the first model is named "fake", a second one "other".</summary>
    public static Task<WireServer> StartAsync(SyntheticCheckpoint checkpoint, ApiOptions? options = null, params FakeModel[] models) =>
        StartAsync(checkpoint, options, null, models);

    /// <summary>The same, with services of the test's own.</summary>
    public static Task<WireServer> StartAsync(
        SyntheticCheckpoint checkpoint, ApiOptions? options, Action<IServiceCollection>? configure, params FakeModel[] models)
    {
        FakeModel[] fakes = models.Length == 0 ? [Default()] : models;
        string[] names = [Model, "other"];
        var catalog = new ModelCatalog(fakes.Select((fake, i) => new ServedModel(names[i], checkpoint.Text, fake.Engine) { Directory = checkpoint.Folder, Resources = fake, Answers = fake.Answers }));
        return StartAsync(catalog, options ?? new ApiOptions(), configure, fakes);
    }

    /// <summary>Starts a server of one model, "fake", with several engines.</summary>
    public static Task<WireServer> StartReplicasAsync(SyntheticCheckpoint checkpoint, ApiOptions? options, params FakeModel[] replicas) =>
        StartReplicasAsync(checkpoint, options, null, replicas);

    /// <summary>The same, with services of the test's own.</summary>
    public static Task<WireServer> StartReplicasAsync(
        SyntheticCheckpoint checkpoint, ApiOptions? options, Action<IServiceCollection>? configure, params FakeModel[] replicas)
    {
        var model = new ServedModel(Model, checkpoint.Text, new ReplicaSet([.. replicas.Select(replica => replica.Engine)])) { Directory = checkpoint.Folder };
        return StartAsync(new ModelCatalog([model]), options ?? new ApiOptions(), configure, replicas);
    }

    private static async Task<WireServer> StartAsync(
        ModelCatalog catalog, ApiOptions options, Action<IServiceCollection>? configure, FakeModel[] fakes)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenModelServe(
            new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, 0), options));
        builder.Services.AddModelServeApi(catalog, options);
        configure?.Invoke(builder.Services);
        WebApplication application = builder.Build();
        application.MapModelServeApi();
        await application.StartAsync(TestContext.Current.CancellationToken);
        string[] addresses = [.. application.Services.GetRequiredService<IServer>().Features
            .GetRequiredFeature<IServerAddressesFeature>().Addresses];
        return new WireServer(application, fakes, new Uri(addresses[0]), new Uri(addresses[1]));
    }

    private static FakeModel Default() => new();

    /// <summary>Waits until a condition of the server holds; fails after a time no healthy server needs.</summary>
    public static Task EventuallyAsync(Func<bool> condition, string what) => EventuallyAsync(() => Task.FromResult(condition()), what);

    /// <summary>The same, of a condition that asks the server.</summary>
    public static Task EventuallyAsync(Func<Task<bool>> condition, string what) => EventuallyAsync(condition, () => what);

    /// <summary>The same, with a text that is made when it fails.</summary>
    public static async Task EventuallyAsync(Func<Task<bool>> condition, Func<string> what)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
        while (!await condition())
        {
            Assert.False(limit.IsCancellationRequested, $"not reached: {what()}");
            await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Nothing is left of any request: no live call, no running or waiting sequence, no block in use.</summary>
    public Task QuiesceAsync() => EventuallyAsync(
        () => Drain.LiveRequestCount == 0
            && _models.All(model => model.Engine.Status is { Running: 0, Waiting: 0, BlocksInUse: 0 }),
        "everything given back");

    /// <summary>Stops listening, as at the end of the process.</summary>
    public Task StopAsync() => _application.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        Array.ForEach(_models, model => model.Release());
        Http.Dispose();
        Channel.Dispose();
        using var atOnce = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await _application.StopAsync(atOnce.Token);
        await _application.DisposeAsync();
        foreach (FakeModel model in _models)
        {
            model.Dispose();
        }
    }
}
