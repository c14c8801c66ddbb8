using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelServe.Api;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>The serving side of the wire table in a process of its own, so that its processor time and memory are its own too.</summary>
internal static class WireServerProcess
{
    private const int Context = 2048;
    private const int BlockTokens = 16;

    /// <summary>Serves until standard input ends. Prints the two addresses, then nothing.</summary>
    public static async Task<int> RunAsync(string textFolder, int slots)
    {
        TextModel text = TextModel.Load(textFolder);
        int vocabulary = text.Tokenizer.VocabularySize;
        var geometry = new ExecutorGeometry(vocabulary, Context, BlockTokens, (slots * Context / BlockTokens) + 1, slots, 8192);
        using var executor = new ClockExecutor(geometry);
        using var engine = new EngineLoop(executor, new EngineOptions { EnablePrefixCaching = false, MaxQueuedRequests = 8192 }, TimeProvider.System);
        using var heldExecutor = new ClockExecutor(geometry with { MaxSequences = 1 });
        heldExecutor.Hold();
        using var full = new EngineLoop(heldExecutor, new EngineOptions { MaxQueuedRequests = 1 }, TimeProvider.System);
        engine.Start();
        full.Start();
        var options = new ApiOptions { StepLimit = Timeout.InfiniteTimeSpan };
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.ListenModelServe(new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, 0), options));
        builder.Services.AddModelServeApi(new ModelCatalog([new ServedModel("wire", text, engine), new ServedModel("full", text, full)]), options);
        await using WebApplication application = builder.Build();
        ConcurrentQueue<double> scrapes = new(), refusals = new();
        application.Use(async (context, next) =>
        {
            long start = Stopwatch.GetTimestamp();
            await next(context);
            if (context.Request.Path == "/metrics")
            {
                scrapes.Enqueue(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
            else if (context.Response.Headers.ContainsKey("grpc-status"))
            {
                refusals.Enqueue(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        });
        application.MapModelServeApi();
        application.MapGet("/bench/pace/{milliseconds:long}", (long milliseconds) =>
        {
            executor.PaceMilliseconds = milliseconds;
            return "paced";
        });
        // Milliseconds that each took on this side, from its headers to the last byte handed over; forgotten when told.
        application.MapGet("/bench/scrapes", () => Take(scrapes));
        application.MapGet("/bench/refusals", () => Take(refusals));
        application.MapGet("/bench/usage", () => Usage(engine));
        application.MapGet("/bench/live", (ServerDrain drain) => drain.LiveRequestCount.ToString(CultureInfo.InvariantCulture));
        application.MapGet("/bench/heap", () => GC.GetTotalMemory(forceFullCollection: true).ToString(CultureInfo.InvariantCulture));
        await application.StartAsync();
        Console.WriteLine(string.Join(' ', application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses) + $" {vocabulary}");
        await Console.In.ReadToEndAsync();
        await application.StopAsync(new CancellationToken(canceled: true));
        Environment.Exit(0);
        return 0;
    }

    private static double[] Take(ConcurrentQueue<double> times)
    {
        double[] taken = [.. times];
        times.Clear();
        return taken;
    }

    private static IResult Usage(EngineLoop engine)
    {
        EngineStatus status = engine.Status;
        return Results.Json(new WireUsage(
            Environment.CpuUsage.TotalTime.TotalSeconds,
            GC.GetTotalAllocatedBytes(precise: false),
            status.Steps,
            status.GeneratedTokens,
            status.Running));
    }
}
