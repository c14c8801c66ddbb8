using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Requests;

/// <summary>The one table from a rejection to what a gRPC client is told: status code, details, retry pushback.</summary>
/// <remarks>
/// Every refusal carries an ErrorInfo with the reason by name and field, limit and value as metadata, and beside it the detail
/// that google.rpc has for its kind. Pushback (gRFC A6) tells a client library whether to try again: after the time that a full
/// queue needs, at once while draining so that a balancer goes elsewhere, and never (-1) where a retry cannot help. A failed
/// engine gives none: elsewhere the same request may succeed.
/// </remarks>
internal static class RejectionStatus
{
    /// <summary>Domain of the ErrorInfo detail that carries the reason by name.</summary>
    public const string Domain = "modelserve.v1";

    /// <summary>Trailer in which a server tells a client library when to try again, in milliseconds.</summary>
    public const string PushbackTrailer = "grpc-retry-pushback-ms";

    private const string Never = "-1";

    private static readonly TimeSpan DefaultRetry = TimeSpan.FromSeconds(1);

    /// <summary>The status code of a reason.</summary>
    public static StatusCode Code(RejectionReason reason) => reason switch
    {
        RejectionReason.InvalidField => StatusCode.InvalidArgument,
        RejectionReason.EmptyPrompt => StatusCode.InvalidArgument,
        RejectionReason.PromptTooLong => StatusCode.InvalidArgument,
        RejectionReason.ExceedsCache => StatusCode.InvalidArgument,
        RejectionReason.UnknownModel => StatusCode.NotFound,
        RejectionReason.UnknownDirectory => StatusCode.NotFound,
        RejectionReason.UnknownRequest => StatusCode.NotFound,
        RejectionReason.ModelBusy => StatusCode.Unavailable,
        RejectionReason.ModelUnloaded => StatusCode.FailedPrecondition,
        RejectionReason.LoadRefused => StatusCode.FailedPrecondition,
        RejectionReason.ModelExists => StatusCode.AlreadyExists,
        RejectionReason.PauseEnded => StatusCode.Aborted,
        RejectionReason.EventsLost => StatusCode.OutOfRange,
        RejectionReason.Unsupported => StatusCode.Unimplemented,
        RejectionReason.QueueFull => StatusCode.ResourceExhausted,
        RejectionReason.QueuedTokensFull => StatusCode.ResourceExhausted,
        RejectionReason.DuplicateRequest => StatusCode.AlreadyExists,
        RejectionReason.DeadlinePassed => StatusCode.DeadlineExceeded,
        RejectionReason.Draining => StatusCode.Unavailable,
        RejectionReason.EngineFailed => StatusCode.Unavailable,
        RejectionReason.WaitTooLong => StatusCode.ResourceExhausted,
        RejectionReason.KeyConcurrency => StatusCode.ResourceExhausted,
        RejectionReason.KeyRequestRate => StatusCode.ResourceExhausted,
        RejectionReason.KeyTokenRate => StatusCode.ResourceExhausted,
        RejectionReason.TierNotAllowed => StatusCode.PermissionDenied,
        RejectionReason.OutOfMemory => StatusCode.ResourceExhausted,
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "a reason without a status"),
    };

    /// <summary>How long the client waits before it tries again; null when it need not try.</summary>
    public static TimeSpan? RetryAfter(Rejection rejection) => Code(rejection.Reason) switch
    {
        StatusCode.ResourceExhausted => rejection.RetryAfter ?? DefaultRetry,
        StatusCode.Unavailable when rejection.Reason == RejectionReason.Draining => TimeSpan.Zero,
        StatusCode.Unavailable when rejection.Reason == RejectionReason.EngineFailed => null,
        StatusCode.Unavailable => rejection.RetryAfter ?? DefaultRetry,
        _ => null,
    };

    /// <summary>What a service throws to refuse a call.</summary>
    public static RpcException ToException(Rejection rejected)
    {
        // Why an engine failed is for the log: its text may name files and devices.
        Rejection rejection = rejected.Reason == RejectionReason.EngineFailed
            ? rejected with { Value = "one that failed" }
            : rejected;
        var status = new Google.Rpc.Status { Code = (int)Code(rejection.Reason), Message = rejection.Message };
        status.Details.Add(Any.Pack(Describe(rejection)));
        if (Detail(rejection) is { } detail)
        {
            status.Details.Add(Any.Pack(detail));
        }

        TimeSpan? wait = RetryAfter(rejection);
        if (wait is { } delay)
        {
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(delay) }));
        }

        RpcException exception = status.ToRpcException();
        if (Pushback(rejection.Reason, wait) is { } pushback)
        {
            exception.Trailers.Add(PushbackTrailer, pushback);
        }

        return exception;
    }

    private static string? Pushback(RejectionReason reason, TimeSpan? wait) =>
        wait is { } delay ? ((long)delay.TotalMilliseconds).ToString(CultureInfo.InvariantCulture)
        : reason == RejectionReason.EngineFailed ? null
        : Never;

    private static ErrorInfo Describe(Rejection rejection) => new()
    {
        Reason = JsonNamingPolicy.SnakeCaseUpper.ConvertName(rejection.Reason.ToString()),
        Domain = Domain,
        Metadata =
        {
            ["field"] = rejection.Field,
            ["limit"] = rejection.Limit,
            ["value"] = rejection.Value,
        },
    };

    private static IMessage? Detail(Rejection rejection) => Code(rejection.Reason) switch
    {
        StatusCode.InvalidArgument or StatusCode.OutOfRange => new BadRequest
        {
            FieldViolations =
            {
                new BadRequest.Types.FieldViolation { Field = rejection.Field, Description = rejection.Message },
            },
        },
        StatusCode.NotFound or StatusCode.AlreadyExists => new ResourceInfo
        {
            ResourceType = rejection.Field,
            ResourceName = rejection.Value,
            Description = rejection.Message,
        },
        StatusCode.FailedPrecondition => new PreconditionFailure
        {
            Violations =
            {
                new PreconditionFailure.Types.Violation
                {
                    Type = JsonNamingPolicy.SnakeCaseUpper.ConvertName(rejection.Reason.ToString()),
                    Subject = rejection.Field,
                    Description = rejection.Message,
                },
            },
        },
        StatusCode.ResourceExhausted => new QuotaFailure
        {
            Violations =
            {
                new QuotaFailure.Types.Violation { Subject = rejection.Field, Description = rejection.Message },
            },
        },
        _ => null,
    };
}
