using Google.Rpc;
using Grpc.Core;

namespace ModelServe.Client;

/// <summary>A request that a ModelServe server did not accept, with what it said about it.</summary>
/// <remarks>
/// It is an <see cref="RpcException"/>, so that code which knows only gRPC catches it too. A failure of another kind (no
/// connection, a deadline that the transport cut) stays a plain <see cref="RpcException"/>.
/// </remarks>
public sealed class RequestRefusedException : RpcException
{
    private const string Domain = "modelserve.v1";

    /// <summary>Without a reason.</summary>
    public RequestRefusedException()
        : this("The request was refused.")
    {
    }

    /// <summary>With a message only; for tests of code that catches it.</summary>
    public RequestRefusedException(string message)
        : base(new Grpc.Core.Status(StatusCode.Unknown, message))
    {
    }

    /// <summary>With a message and its cause; for tests of code that catches it.</summary>
    public RequestRefusedException(string message, Exception innerException)
        : base(new Grpc.Core.Status(StatusCode.Unknown, message, innerException))
    {
    }

    private RequestRefusedException(RpcException cause, ErrorInfo error, TimeSpan? retryAfter)
        : base(cause.Status, cause.Trailers, cause.Status.Detail)
    {
        ReasonName = error.Reason;
        Reason = Enum.TryParse(error.Reason.Replace("_", "", StringComparison.Ordinal), ignoreCase: true, out RefusalReason reason)
            ? reason
            : RefusalReason.Other;
        Field = Value("field");
        Limit = Value("limit");
        GivenValue = Value("value");
        RetryAfter = retryAfter;

        string Value(string key) => error.Metadata.TryGetValue(key, out string? text) ? text : string.Empty;
    }

    /// <summary>Why.</summary>
    public RefusalReason Reason { get; }

    /// <summary>Why, in the server's own word, such as QUEUE_FULL.</summary>
    public string ReasonName { get; } = string.Empty;

    /// <summary>The field of the request, or the name of the limit.</summary>
    public string Field { get; } = string.Empty;

    /// <summary>What is allowed, as text.</summary>
    public string Limit { get; } = string.Empty;

    /// <summary>What was given, as text.</summary>
    public string GivenValue { get; } = string.Empty;

    /// <summary>When the same request may be tried again; null where time does not help.</summary>
    public TimeSpan? RetryAfter { get; }

    /// <summary>The refusal that a status carries; the exception itself when it carries none.</summary>
    internal static RpcException From(RpcException exception)
    {
        if (exception is RequestRefusedException
            || exception.GetRpcStatus() is not { } status
            || status.GetDetail<ErrorInfo>() is not { Domain: Domain } error)
        {
            return exception;
        }

        return new RequestRefusedException(exception, error, status.GetDetail<RetryInfo>()?.RetryDelay?.ToTimeSpan());
    }
}
