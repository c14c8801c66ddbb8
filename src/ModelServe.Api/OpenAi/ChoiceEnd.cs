using ModelServe.Api.Services;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.OpenAi;

/// <summary>How outputs end, in the dialect's words.</summary>
internal static class ChoiceEnd
{
    /// <summary>The failure of an output that has no finish reason; null where it has one.</summary>
    public static HttpError? FailureOf(OutputEnding ending) =>
        ending.Failure is { } code ? HttpError.Of(code, code == ErrorCode.Internal ? "The request failed." : ending.Message)
        : ending.Reason == EndReason.Cancelled ? new HttpError(409, HttpError.InvalidRequest, "aborted", "The request was aborted by an operator.")
        : null;

    /// <summary>The finish reason; clients know no other words than these. A call that the client named is no decision of the model's, and a stop.</summary>
    public static string ReasonOf(OutputEnding ending, bool isNamedCall) => ending.Reason switch
    {
        EndReason.Stop => ending.ToolCalls > 0 && !isNamedCall ? "tool_calls" : "stop",
        EndReason.Length or EndReason.ContextFull or EndReason.Deadline => "length",
        _ => throw new ArgumentOutOfRangeException(nameof(ending), ending.Reason, "a reason that ends no output well"),
    };
}
