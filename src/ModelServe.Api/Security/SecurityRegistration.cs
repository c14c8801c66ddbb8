using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ModelServe.Api.Security;

/// <summary>Puts keys, TLS files and the rule for every endpoint among the services.</summary>
internal static class SecurityRegistration
{
    /// <summary>Adds them. Files are read when the services are first asked for, before the server listens.</summary>
    public static void AddSecurity(this IServiceCollection services, ApiOptions options)
    {
        services.AddSingleton<ApiKeyRing>();
        services.AddSingleton<FileReload>();
        services.AddHostedService(provider => provider.GetRequiredService<FileReload>());
        if (options.Tls is { } files)
        {
            services.AddSingleton(provider => new TlsCertificates(files, provider.GetRequiredService<TimeProvider>()));
        }

        services.AddAuthentication(BearerHandler.SchemeName).AddScheme<AuthenticationSchemeOptions, BearerHandler>(BearerHandler.SchemeName, null);
        // One line for every call without a key would let anybody flood the log.
        services.AddLogging(logging => logging.AddFilter(typeof(BearerHandler).FullName, LogLevel.Warning));
        services.AddSingleton<IAuthorizationHandler, AccessRequirement.Judge>();
        services.AddAuthorization(authorization =>
        {
            AuthorizationPolicy rule = new([new AccessRequirement()], [BearerHandler.SchemeName]);
            authorization.FallbackPolicy = rule;
            authorization.DefaultPolicy = rule;
        });
    }
}
