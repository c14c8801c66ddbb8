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
/// Pushback (gRFC A6) is set only where a retry can help: the time to wait for full queues, 0 while draining, so that a balancer
/// goes elsewhere at once. A failed engine gives none.
/// </remarks>
internal static class RejectionStatus
{
    /// <summary>Domain of the ErrorInfo detail that carries the reason by name.</summary>
    public const string Domain = "modelserve.v1";

    /// <summary>Trailer in which a server tells a client library when to try again, in milliseconds.</summary>
    public const string PushbackTrailer = "grpc-retry-pushback-ms";

    private static readonly TimeSpan DefaultRetry = TimeSpan.FromSeconds(1);

    /// <summary>The status code of a reason.</summary>
    public static StatusCode Code(RejectionReason reason) => reason switch
    {
        RejectionReason.InvalidField => StatusCode.InvalidArgument,
        RejectionReason.EmptyPrompt => StatusCode.InvalidArgument,
        RejectionReason.PromptTooLong => StatusCode.InvalidArgument,
        RejectionReason.ExceedsCache => StatusCode.InvalidArgument,
        RejectionReason.UnknownModel => StatusCode.NotFound,
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
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "a reason without a status"),
    };

    /// <summary>How long the client waits before it tries again; null when it need not try.</summary>
    public static TimeSpan? RetryAfter(Rejection rejection) => Code(rejection.Reason) switch
    {
        StatusCode.ResourceExhausted => rejection.RetryAfter ?? DefaultRetry,
        StatusCode.Unavailable when rejection.Reason == RejectionReason.Draining => TimeSpan.Zero,
        _ => null,
    };

    /// <summary>What a service throws to refuse a call.</summary>
    public static RpcException ToException(Rejection rejected)
    {
        // Why an engine failed is for the log: its text may name files and devices.
        Rejection rejection = rejected.Reason == RejectionReason.EngineFailed
            ? rejected with { Value = "one that failed" }
            : rejected;
        var status = new Google.Rpc.Status
        {
            Code = (int)Code(rejection.Reason),
            Message = rejection.Message,
        };
        status.Details.Add(Any.Pack(Describe(rejection)));
        if (Detail(rejection) is { } detail)
        {
            status.Details.Add(Any.Pack(detail));
        }

        RpcException exception;
        if (RetryAfter(rejection) is { } wait)
        {
            status.Details.Add(Any.Pack(new RetryInfo { RetryDelay = Duration.FromTimeSpan(wait) }));
            exception = status.ToRpcException();
            exception.Trailers.Add(
                PushbackTrailer, ((long)wait.TotalMilliseconds).ToString(CultureInfo.InvariantCulture));
        }
        else
        {
            exception = status.ToRpcException();
        }

        return exception;
    }

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
        StatusCode.InvalidArgument => new BadRequest
        {
            FieldViolations =
            {
                new BadRequest.Types.FieldViolation { Field = rejection.Field, Description = rejection.Message },
            },
        },
        StatusCode.NotFound => new ResourceInfo
        {
            ResourceType = rejection.Field,
            ResourceName = rejection.Value,
            Description = rejection.Message,
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
