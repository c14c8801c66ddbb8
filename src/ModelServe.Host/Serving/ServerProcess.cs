using System.Diagnostics;
using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ModelServe.Api;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Host.Models;
using ModelServe.Host.Options;

namespace ModelServe.Host.Serving;

/// <summary>The serving process: loads the models, listens, runs until it is told to stop, and takes everything down in order.</summary>
internal static class ServerProcess
{
    /// <summary>Serves until a stop signal; returns the exit code.</summary>
    public static async Task<int> RunAsync(ServeOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        using HostedModels hosted = new(options.Engine, options.Answers, time);
        List<ServedModel> models = [];
        foreach (HostedModel model in hosted.LoadAll(options.Models))
        {
            models.Add(hosted.Serve(model));
            await Console.Error.WriteLineAsync($"{model.Name}: memory\n{model.MemoryTable}");
        }

        await using WebApplication application = Build(options, hosted, models, time);
        await application.StartAsync(cancellationToken);
        using Process process = Process.GetCurrentProcess();
        await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"started in {(time.GetUtcNow() - process.StartTime.ToUniversalTime()).TotalSeconds:0.00} s"));
        await Console.Error.WriteLineAsync($"ready: {string.Join(", ", models.Select(model => model.Name))} on {Addresses(application)}");
        await application.WaitForShutdownAsync(cancellationToken);
        return application.Services.GetRequiredService<EngineFailure>().HasHappened ? FailureExit.Code : 0;
    }

    private static WebApplication Build(ServeOptions options, HostedModels hosted, List<ServedModel> models, TimeProvider time)
    {
        ApiOptions api = options.ToApiOptions();
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        // Standard output belongs to answers; everything a server has to say goes to standard error.
        builder.Logging.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console =>
        {
            console.LogToStandardErrorThreshold = LogLevel.Trace;
            // Who reads the log may stop reading: then lines are dropped, and their number told later; no request waits.
            console.QueueFullMode = Microsoft.Extensions.Logging.Console.ConsoleLoggerQueueFullMode.DropWrite;
        });
        // A failure to start comes back as an exception too, which the command tells in one line.
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.Critical);
        builder.Services.AddSingleton(time);
        builder.Services.AddSingleton(options);
        builder.Services.AddModelServeApi(new ModelCatalog(models), api);
        builder.Services.AddSingleton<IModelLoader>(hosted);
        builder.Services.AddSingleton<IHostLifetime, GracefulDrain>();
        builder.Services.AddSingleton(new LastResort(Process.GetCurrentProcess().Kill, time));
        builder.Services.AddHostedService<FailureExit>();
        TraceExport.AddTo(builder.Services, options);
        // The drain has let requests finish or has ended them; whatever connection is left after it gets no more time.
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(2));
        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = KestrelPorts.BindSocket);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenModelServe(options.Grpc.ToEndPoint(), options.Http.ToEndPoint(), api));
        WebApplication application = builder.Build();
        application.MapModelServeApi();
        return application;
    }

    // Kestrel reports the ports in the order in which they were bound: gRPC, then HTTP.
    private static string Addresses(WebApplication application)
    {
        string[] addresses = [.. application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        return addresses.Length == 1 ? $"gRPC and HTTP {addresses[0]}" : $"gRPC {addresses[0]}, HTTP {addresses[1]}";
    }
}
