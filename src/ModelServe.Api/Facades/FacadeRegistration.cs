using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace ModelServe.Api.Facades;

/// <summary>Puts the facades into the application.</summary>
internal static class FacadeRegistration
{
    /// <summary>Adds the services of all facades.</summary>
    public static void AddFacades(this IServiceCollection services)
    {
        services.AddSingleton<VllmService>();
        services.AddSingleton<OpenEngineInferenceService>();
        services.AddSingleton<OpenEngineControlService>();
        services.AddSingleton<KServeService>();
        services.AddSingleton<ServerIdentity>();
        services.AddSingleton<TokenizerArchive>();
    }

    /// <summary>Maps those that are wanted.</summary>
    public static void MapFacades(this IEndpointRouteBuilder routes, FacadeSet facades)
    {
        // Made now, because its clock runs from the start of the server.
        _ = routes.ServiceProvider.GetRequiredService<ServerIdentity>();
        if (facades.HasFlag(FacadeSet.Vllm))
        {
            routes.MapGrpcService<VllmService>();
        }

        if (facades.HasFlag(FacadeSet.OpenEngine))
        {
            routes.MapGrpcService<OpenEngineInferenceService>();
            routes.MapGrpcService<OpenEngineControlService>();
        }

        if (facades.HasFlag(FacadeSet.KServe))
        {
            routes.MapGrpcService<KServeService>();
        }
    }
}
