using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;
using ModelServe.Host.Models;
using ModelServe.Host.Options;
using ModelServe.Host.Serving;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Fault 18 at the level of the process: once a model has failed for good, its host stops.</summary>
public sealed class FailureExitTests
{
    private static readonly int[] Prompt = [1, 2];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_host_stops_after_a_models_failure_unless_it_was_told_to_stay(bool ends)
    {
        var geometry = new ExecutorGeometry(300, 512, 16, 65, 4, 256);
        using var executor = new FakeExecutor(geometry, 1, prefix => prefix.Length % 50)
        {
            Collecting = _ => throw new ExecutorFailedException("the device fell off the bus"),
        };
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        engine.Start();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Services.AddSingleton(new ServeOptions
        {
            Models = [],
            Engine = new EngineSettings(),
            Grpc = Loopback(),
            Http = Loopback(),
            FailureGrace = ends ? TimeSpan.FromMilliseconds(50) : null,
        });
        TextModel text = TextModel.Load(ShippedModels.Resolve(ShippedModels.Default.Split('=')[^1]));
        builder.Services.AddModelServeApi(new ModelCatalog([new ServedModel("failing", text, engine)]), new ApiOptions());
        builder.Services.AddSingleton(new LastResort(() => { }, TimeProvider.System));
        builder.Logging.ClearProviders();
        builder.Services.AddHostedService<FailureExit>();
        await using WebApplication application = builder.Build();
        application.Urls.Add("http://127.0.0.1:0");
        await application.StartAsync(Token);

        using TokenStream stream = engine.Admit(new GenerationRequest { RequestId = "a", PromptTokenIds = Prompt, MaxTokens = 1 }).Stream!;
        var delta = new TokenDelta();
        Assert.True(await stream.ReadAsync(delta, Token));
        Assert.Equal(FinishReason.Error, delta.FinishReason);
        Assert.Equal("failing", await application.Services.GetRequiredService<EngineFailure>().WaitAsync(Token));
        IHostApplicationLifetime lifetime = application.Services.GetRequiredService<IHostApplicationLifetime>();
        if (ends)
        {
            var stopping = new TaskCompletionSource();
            using CancellationTokenRegistration registration = lifetime.ApplicationStopping.Register(stopping.SetResult);
            await stopping.Task.WaitAsync(TimeSpan.FromSeconds(60), Token);
        }
        else
        {
            await Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System, Token);
            Assert.False(lifetime.ApplicationStopping.IsCancellationRequested);
            await application.StopAsync(Token);
        }

        ModelServe.Api.Tests.Wire.Tally.Fault(18, ends ? "a failed device ends the process" : "a failed device, told to stay", 1, 0, 1);
    }

    private static ListenAddress Loopback() =>
        ListenAddress.TryParse("127.0.0.1:0", out ListenAddress? address) ? address! : throw new FormatException();
}
