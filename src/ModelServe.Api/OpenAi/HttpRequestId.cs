using Microsoft.AspNetCore.Http;
using ModelServe.Api.Requests;

namespace ModelServe.Api.OpenAi;

/// <summary>The name under which a client and its logs know one HTTP call.</summary>
internal static class HttpRequestId
{
    private const string Header = "x-request-id";
    private const int Longest = 128;

    /// <summary>Echoes the client's name of the call in the response, or makes one up where it has none that can be a header.</summary>
    public static void Echo(HttpContext context)
    {
        string? given = context.Request.Headers[Header];
        bool usable = given is not null && FieldCheck.VisibleAscii(Header, given, Longest) is null;
        context.Response.Headers[Header] = usable ? given : Guid.CreateVersion7().ToString("N");
    }
}
