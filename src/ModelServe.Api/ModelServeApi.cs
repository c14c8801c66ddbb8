using Grpc.AspNetCore.HealthChecks;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Facades;
using ModelServe.Api.Health;
using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Api.OpenAi;
using ModelServe.Api.Requests;
using ModelServe.Api.Security;
using ModelServe.Api.Services;
using ModelServe.Api.StatusPage;
using ModelServe.Api.Tracing;

namespace ModelServe.Api;

/// <summary>Puts the wire side of the server into an ASP.NET Core application.</summary>
/// <remarks>
/// A host calls <see cref="AddModelServeApi"/>, binds its ports with <see cref="KestrelPorts.ListenModelServe"/>, calls
/// <see cref="MapModelServeApi"/>, and on its way down follows <see cref="ServerDrain"/>.
/// </remarks>
public static class ModelServeApi
{
    /// <summary>Adds the services. A <see cref="TimeProvider"/> already among them is used, else the system's.</summary>
    public static IServiceCollection AddModelServeApi(
        this IServiceCollection services, ModelCatalog catalog, ApiOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(catalog);
        services.AddSingleton(options);
        services.AddSingleton(options.Limits);
        services.AddSecurity(options);
        services.AddSingleton<CallerSalt>();
        services.AddSingleton<RequestReader>();
        services.AddHttpContextAccessor();
        services.AddSingleton<RequestTracing>();
        services.AddSingleton<LiveRequests>();
        services.AddSingleton<StatusData>();
        services.AddMetrics();
        services.AddSingleton<ServerMeter>();
        services.AddSingleton<MetricsRegistry>();
        services.AddSingleton<MetricsReader>();
        services.AddSingleton<MetricsPage>();
        services.AddHostedService<MetricsPublisher>();
        services.AddSingleton(provider => new ServerDrain(
            provider.GetRequiredService<ModelCatalog>(),
            provider.GetRequiredService<LiveRequests>(),
            provider.GetRequiredService<HealthReporter>(),
            provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<RequestAdmission>();
        services.AddSingleton<ModelDescription>();
        services.AddSingleton<GenerationCall>();
        services.AddSingleton<InferenceService>();
        services.AddSingleton<ModelsService>();
        services.AddSingleton<ControlService>();
        services.AddSingleton<EventsService>();
        services.AddSingleton<ServerEnd>();
        services.AddSingleton<Subscriptions>();
        services.AddSingleton(options.ModelRoots);
        services.AddSingleton(provider => new ModelLifecycle(
            catalog,
            options.ModelRoots,
            provider.GetRequiredService<HealthReporter>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<ModelLifecycle>>(),
            provider.GetService<IModelLoader>()));
        services.AddFacades();
        services.AddOpenAi();
        services.AddSingleton<HealthReporter>();
        services.AddSingleton(new EngineFailure());
        services.AddHostedService(provider => provider.GetRequiredService<HealthReporter>());
        services.AddHostedService<EngineWatchdog>();
        services.AddGrpc(grpc =>
        {
            grpc.MaxReceiveMessageSize = options.Limits.MessageBytes;
            grpc.EnableDetailedErrors = false;
            grpc.ResponseCompressionAlgorithm = null;
        });
        services.RemoveAll(typeof(IServiceMethodProvider<>));
        services.AddSingleton(typeof(IServiceMethodProvider<>), typeof(MethodProvider<>));
        // HealthReporter pushes every status itself; the package's own checks and their mapping stay empty, and calls read
        // what was pushed. What is used of the package is that watchers end when the host stops.
        services.AddGrpcHealthChecks(health => health.UseHealthChecksCache = true);
        services.Configure<GrpcHealthChecksOptions>(health => health.Services.Clear());
        // A malformed message is the client's fault and answered; one error line for each would let clients flood the log.
        services.AddLogging(logging => logging.AddFilter("Grpc.AspNetCore.Server.ServerCallHandler", LogLevel.Critical));
        if (options.Reflection)
        {
            services.AddGrpcReflection();
        }

        return services;
    }

    /// <summary>Maps the gRPC services, grpc.health.v1, reflection if wanted, the OpenAI dialect, and /health, /metrics and /version.</summary>
    public static IEndpointRouteBuilder MapModelServeApi(this IEndpointRouteBuilder routes)
    {
        routes.MapGrpcService<InferenceService>();
        routes.MapGrpcService<ModelsService>();
        routes.MapGrpcService<ControlService>();
        routes.MapGrpcService<EventsService>();
        routes.MapFacades(routes.ServiceProvider.GetRequiredService<ApiOptions>().Facades);
        routes.MapGrpcHealthChecksService().AllowAnonymous();
        if (routes.ServiceProvider.GetRequiredService<ApiOptions>().Reflection)
        {
            routes.MapGrpcReflectionService();
        }

        routes.MapGet("/health", (HealthReporter health) => Answer(health.IsReady, "serving", "not serving")).AllowAnonymous();
        routes.MapGet("/health/ready", (HealthReporter health) => Answer(health.IsReady, "ready", "not ready")).AllowAnonymous();
        routes.MapGet("/health/ready/{model}", (string model, ModelCatalog catalog, HealthReporter health) =>
            catalog.TryFind(model, out ServedModel? served, out _)
                ? Answer(health.Condition(served) == ModelCondition.Serving, "ready", "not ready")
                : Results.Text("no such model", "text/plain", statusCode: StatusCodes.Status404NotFound)).AllowAnonymous();
        // The process is live when it answers. What a restart would cure is progress; the process also ends by itself then.
        routes.MapGet("/health/live", () => Answer(true, "live", "not live")).AllowAnonymous();
        routes.MapGet("/health/progress", (HealthReporter health) => Answer(health.IsProgressing, "in progress", "standing still")).AllowAnonymous();
        routes.MapGet("/metrics", (HttpContext context, MetricsPage page) => page.AnswerAsync(context));
        routes.MapGet(
            "/version", () => Results.Json(new { software = SoftwareVersion.Name, version = SoftwareVersion.Version }));
        routes.MapOpenAi();
        routes.MapStatusPage();
        return routes;
    }

    private static IResult Answer(bool good, string yes, string no) => Results.Text(
        good ? yes : no, "text/plain", statusCode: good ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);
}
