using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>The OpenAI HTTP dialect: routes, and what every one of them does about bodies, names of calls and failures.</summary>
internal static partial class OpenAiEndpoints
{
    private static readonly string[] Posts =
        ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize"];

    private delegate Rejection? Answering(JsonElement body, out JsonObject answer);

    /// <summary>Adds what the endpoints need.</summary>
    public static void AddOpenAi(this IServiceCollection services)
    {
        services.AddSingleton<ChatFields>();
        services.AddSingleton<CompletionFields>();
        services.AddSingleton<TextEndpoints>();
        services.AddSingleton<HttpCall>();
    }

    /// <summary>Maps the endpoints, and errors in the same shape for paths and methods that there are not.</summary>
    public static void MapOpenAi(this IEndpointRouteBuilder routes)
    {
        Post(routes, Posts[0], ChatAsync);
        Post(routes, Posts[1], CompleteAsync);
        Post(routes, Posts[2], static (context, body) =>
            context.RequestServices.GetRequiredService<HttpCall>().RefuseAsync(context, null, Texts(context).Embed(body)));
        Post(routes, Posts[3], static (context, body) => AnswerAsync(context, body, Texts(context).Tokenize));
        Post(routes, Posts[4], static (context, body) => AnswerAsync(context, body, Texts(context).Detokenize));
        routes.MapGet("/v1/models", static context => GuardAsync(context, static inside => WriteAsync(inside, Texts(inside).Models())));
        routes.MapGet("/v1/models/{model}", static context => GuardAsync(context, static inside =>
            Texts(inside).Model((string)inside.Request.RouteValues["model"]!, out JsonObject answer) is { } rejection
                ? ErrorAnswer.WriteAsync(inside, HttpError.Of(rejection))
                : WriteAsync(inside, answer)));
        routes.MapFallback(static context => GuardAsync(context, static inside => ErrorAnswer.WriteAsync(inside, NotThere(inside))));
    }

    private static TextEndpoints Texts(HttpContext context) => context.RequestServices.GetRequiredService<TextEndpoints>();

    private static void Post(IEndpointRouteBuilder routes, string path, Func<HttpContext, JsonElement, Task> handle) =>
        routes.MapPost(path, (HttpContext context) => GuardAsync(context, async inside =>
        {
            RequestLimits limits = inside.RequestServices.GetRequiredService<RequestLimits>();
            (JsonDocument? document, HttpError? error) = await JsonBody.ReadAsync(inside, limits);
            using (document)
            {
                await (document is null ? ErrorAnswer.WriteAsync(inside, error!) : handle(inside, document.RootElement));
            }
        }));

    private static Task ChatAsync(HttpContext context, JsonElement body)
    {
        HttpCall call = context.RequestServices.GetRequiredService<HttpCall>();
        Rejection? rejection = context.RequestServices.GetRequiredService<ChatFields>()
            .Read(body, HttpCall.CallerOf(context), out ReadRequest? read, out OutputShape shape);
        return rejection is null
            ? call.RunAsync(context, [read!], null, chat: true, shape)
            : call.RefuseAsync(context, ModelOf(body), rejection);
    }

    private static Task CompleteAsync(HttpContext context, JsonElement body)
    {
        HttpCall call = context.RequestServices.GetRequiredService<HttpCall>();
        Rejection? rejection = context.RequestServices.GetRequiredService<CompletionFields>()
            .Read(body, HttpCall.CallerOf(context), out ReadRequest[] reads, out string[]? echoes, out OutputShape shape);
        return rejection is null
            ? call.RunAsync(context, reads, echoes, chat: false, shape)
            : call.RefuseAsync(context, ModelOf(body), rejection);
    }

    private static Task AnswerAsync(HttpContext context, JsonElement body, Answering answering) =>
        answering(body, out JsonObject answer) is { } rejection
            ? ErrorAnswer.WriteAsync(context, HttpError.Of(rejection))
            : WriteAsync(context, answer);

    private static Task WriteAsync(HttpContext context, JsonObject answer)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        return context.Response.WriteAsync(answer.ToJsonString(), context.RequestAborted);
    }

    private static string? ModelOf(JsonElement body) =>
        body.TryGetProperty("model", out JsonElement name) && name.ValueKind == JsonValueKind.String ? name.GetString() : null;

    private static HttpError NotThere(HttpContext context)
    {
        string path = context.Request.Path.Value ?? string.Empty;
        string? allowed = Posts.Contains(path) ? "POST"
            : path == "/v1/models" || path.StartsWith("/v1/models/", StringComparison.Ordinal) ? "GET"
            : null;
        if (allowed is null)
        {
            return new HttpError(404, "not_found_error", "unknown_url", "path: one that this server answers; got an unknown one");
        }

        context.Response.Headers.Allow = allowed;
        return new HttpError(405, HttpError.InvalidRequest, "method_not_allowed", $"method: {allowed}; got another one");
    }

    /// <summary>Names the call, and turns what no code expected into an answer of the dialect's shape.</summary>
    private static async Task GuardAsync(HttpContext context, Func<HttpContext, Task> handle)
    {
        HttpRequestId.Echo(context);
        try
        {
            await handle(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone.
        }
#pragma warning disable CA1031 // Whatever fails inside one call ends that call alone; the log has the rest.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            ILogger logger = context.RequestServices.GetRequiredService<ILogger<HttpCall>>();
            Log.Failed(logger, context.Response.Headers["x-request-id"].ToString(), exception);
            if (context.Response.HasStarted)
            {
                context.Abort();
            }
            else
            {
                await ErrorAnswer.WriteAsync(context, HttpError.Internal);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Level = LogLevel.Error, Message = "HTTP call {RequestId} failed")]
        public static partial void Failed(ILogger logger, string requestId, Exception exception);
    }
}
