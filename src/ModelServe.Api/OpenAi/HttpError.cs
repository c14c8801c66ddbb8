using System.Text.Json;
using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.OpenAi;

/// <summary>What an HTTP client is told instead of an answer, and the one table from a rejection to it. Immutable.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Type">The class of error, in the dialect's words.</param>
/// <param name="Code">The kind, for programs.</param>
/// <param name="Message">One sentence from a fixed catalogue; it quotes the client's values at most.</param>
/// <param name="Param">The field, in the client's spelling; null where there is none.</param>
internal sealed record HttpError(int Status, string Type, string Code, string Message, string? Param = null)
{
    /// <summary>An error of the client's, which a retry cannot cure.</summary>
    public const string InvalidRequest = "invalid_request_error";

    private static readonly TimeSpan LongRetry = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ShortRetry = TimeSpan.FromSeconds(1);

    /// <summary>When the client may try again; set on every 429, 500 and 503, because clients without it retry within milliseconds.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Something failed that has no name; the log has the rest.</summary>
    public static HttpError Internal { get; } =
        new(500, "server_error", "internal_error", "The server failed to answer this request.") { RetryAfter = ShortRetry };

    /// <summary>A rejection, its fields spelled as the HTTP dialect spells them.</summary>
    public static HttpError Of(Rejection rejected)
    {
        Rejection rejection = FieldNames.Translate(rejected);
        int status = StatusOf(rejection.Reason);
        // Why an engine failed is for the log: its text may name files and devices.
        string message = rejection.Reason == RejectionReason.EngineFailed
            ? "model: a working engine; got one that failed"
            : rejection.Message;
        return new HttpError(status, TypeOf(status), CodeOf(rejection.Reason), message, rejection.Field)
        {
            RetryAfter = RetryOf(status, rejection),
        };
    }

    /// <summary>The failure of an accepted request that could not be told by a stream.</summary>
    public static HttpError Of(ErrorCode code, string message) => code switch
    {
        ErrorCode.Drained => new(503, "server_error", "draining", message) { RetryAfter = ShortRetry },
        ErrorCode.Exhausted => new(503, "server_error", "out_of_memory", message) { RetryAfter = ShortRetry },
        ErrorCode.EngineFailed => new(503, "server_error", "engine_failed", message) { RetryAfter = LongRetry },
        _ => new(500, "server_error", "internal_error", message) { RetryAfter = ShortRetry },
    };

    /// <summary>The HTTP status of a reason: that of its gRPC status code, but where the dialect has a more telling one.</summary>
    public static int StatusOf(RejectionReason reason) => RejectionStatus.Code(reason) switch
    {
        StatusCode.InvalidArgument or StatusCode.OutOfRange => 400,
        // 501 would make clients try again.
        StatusCode.Unimplemented => 400,
        StatusCode.Unauthenticated => 401,
        StatusCode.PermissionDenied => 403,
        StatusCode.NotFound => 404,
        StatusCode.FailedPrecondition => reason == RejectionReason.ModelUnloaded ? 404 : 409,
        StatusCode.DeadlineExceeded => 408,
        StatusCode.AlreadyExists or StatusCode.Aborted => 409,
        StatusCode.ResourceExhausted => 429,
        StatusCode.Unavailable => 503,
        _ => 500,
    };

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => InvalidRequest,
    };

    private static string CodeOf(RejectionReason reason) => reason switch
    {
        RejectionReason.UnknownModel => "model_not_found",
        RejectionReason.PromptTooLong => "context_length_exceeded",
        RejectionReason.InvalidField => "invalid_value",
        _ => JsonNamingPolicy.SnakeCaseLower.ConvertName(reason.ToString()),
    };

    private static TimeSpan? RetryOf(int status, Rejection rejection)
    {
        if (status is not (429 or 500 or 503))
        {
            return null;
        }

        return rejection.Reason == RejectionReason.EngineFailed ? LongRetry
            : RejectionStatus.RetryAfter(rejection) is { } wait && wait > TimeSpan.Zero ? wait
            : ShortRetry;
    }
}
