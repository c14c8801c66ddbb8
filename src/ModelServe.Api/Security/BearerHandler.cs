using System.Security.Claims;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;
using ModelServe.Api.OpenAi;

namespace ModelServe.Api.Security;

/// <summary>Takes the key from <c>authorization: Bearer</c>, and tells who has none or the wrong one in the words of the dialect.</summary>
/// <remarks>A gRPC client gets a gRPC status, any other the error body of the OpenAI dialect. Runs before a byte of the body is read.</remarks>
internal sealed class BearerHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder, ApiKeyRing ring)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    /// <summary>Name of the scheme.</summary>
    public const string SchemeName = "Bearer";

    private const int Unauthenticated = 16;
    private const int PermissionDenied = 7;
    private const string Prefix = "Bearer ";

    private static readonly AuthenticateResult Expired = AuthenticateResult.Fail("The key has expired.");
    private static readonly AuthenticateResult Unknown = AuthenticateResult.Fail("The key is not known here.");

    /// <inheritdoc/>
    protected override Task<AuthenticateResult> HandleAuthenticateAsync() => Task.FromResult(Look());

    /// <inheritdoc/>
    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        string message = (await HandleAuthenticateOnceSafeAsync()).Failure?.Message ?? "A key is needed: authorization: Bearer KEY.";
        bool given = Request.Headers.Authorization.Count > 0;
        Response.Headers.WWWAuthenticate = given ? "Bearer realm=\"modelserve\", error=\"invalid_token\"" : "Bearer realm=\"modelserve\"";
        await RefuseAsync(
            Unauthenticated, new HttpError(StatusCodes.Status401Unauthorized, "authentication_error", "invalid_api_key", message));
    }

    /// <inheritdoc/>
    protected override Task HandleForbiddenAsync(AuthenticationProperties properties) => RefuseAsync(
        PermissionDenied,
        new HttpError(StatusCodes.Status403Forbidden, "permission_error", "insufficient_permissions", "This key has no admin right."));

    private AuthenticateResult Look()
    {
        StringValues given = Request.Headers.Authorization;
        if (!ring.IsRequired || given.Count == 0)
        {
            return AuthenticateResult.NoResult();
        }

        string text = given.Count == 1 ? given[0]! : string.Empty;
        if (!text.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            return Unknown;
        }

        switch (ring.Find(text[Prefix.Length..].Trim(), out Caller? caller))
        {
            case ApiKeyRing.Outcome.Found:
                Context.Features.Set(caller!);
                TellRates(caller!);
                ClaimsIdentity identity = new(SchemeName);
                identity.AddClaim(new Claim(identity.NameClaimType, caller!.Tenant));
                return AuthenticateResult.Success(new AuthenticationTicket(new ClaimsPrincipal(identity), SchemeName));
            case ApiKeyRing.Outcome.Expired:
                return Expired;
            default:
                return Unknown;
        }
    }

    private void TellRates(Caller caller)
    {
        if (!IsGrpc && caller.Usage!.State() is not null)
        {
            Response.OnStarting(
                static state =>
                {
                    (HttpResponse response, KeyUsage usage) = ((HttpResponse, KeyUsage))state;
                    usage.State()?.Write(response.Headers);
                    return Task.CompletedTask;
                },
                (Response, caller.Usage));
        }
    }

    private bool IsGrpc => Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;

    private Task RefuseAsync(int grpcStatus, HttpError error)
    {
        if (!IsGrpc)
        {
            return ErrorAnswer.WriteAsync(Context, error);
        }

        // A status without a message: headers alone, and the end of the stream.
        Response.StatusCode = StatusCodes.Status200OK;
        Response.ContentType = "application/grpc";
        Response.Headers["grpc-status"] = grpcStatus.ToString(System.Globalization.CultureInfo.InvariantCulture);
        Response.Headers["grpc-message"] = Uri.EscapeDataString(error.Message);
        return Task.CompletedTask;
    }
}
