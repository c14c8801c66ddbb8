using System.Reflection;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace ModelServe.Api.StatusPage;

/// <summary>The status page and its numbers on the HTTP port. The page itself is the same for everybody; its numbers are not for those without a key.</summary>
/// <remarks>
/// Everything is an embedded resource, so the page works offline and after a change of the working folder. Its policy lets it load
/// nothing that this server does not serve, and run nothing that stands in the page.
/// </remarks>
internal static class StatusEndpoints
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private static readonly (string Path, string Resource, string ContentType)[] Assets =
    [
        ("/", "status/index.html", "text/html; charset=utf-8"),
        ("/status/page.css", "status/page.css", "text/css; charset=utf-8"),
        ("/status/page.js", "status/page.js", "text/javascript; charset=utf-8"),
        ("/status/series.js", "status/series.js", "text/javascript; charset=utf-8"),
        ("/status/chat.js", "status/chat.js", "text/javascript; charset=utf-8"),
        ("/status/mark.svg", "status/mark.svg", "image/svg+xml"),
    ];

    /// <summary>Maps the page, its parts and /status/data.</summary>
    public static void MapStatusPage(this IEndpointRouteBuilder routes)
    {
        foreach ((string path, string resource, string contentType) in Assets)
        {
            byte[] content = Load(resource);
            routes.MapGet(path, (HttpContext context) =>
            {
                Protect(context.Response);
                return Results.Bytes(content, contentType);
            }).WithMetadata(new AllowAnonymousAttribute());
        }

        routes.MapGet("/status/data", async (HttpContext context, StatusData data) =>
        {
            Protect(context.Response);
            context.Response.ContentType = "application/json; charset=utf-8";
            data.Write(context.Response.BodyWriter);
            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        });
    }

    private static void Protect(HttpResponse response)
    {
        response.Headers.ContentSecurityPolicy = Policy;
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "no-referrer";
        response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers.CacheControl = "no-store";
    }

    private static byte[] Load(string resource)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)
            ?? throw new InvalidOperationException($"the build lacks the resource {resource}");
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        return copy.ToArray();
    }
}
