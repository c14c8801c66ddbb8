using ModelServe.Engine.Admission;
using ModelServe.V1;
using EndReason = ModelServe.Engine.Admission.FinishReason;

namespace ModelServe.Api.Services;

/// <summary>How an accepted request ended, before a dialect puts it into its own words. Immutable.</summary>
internal sealed record OutputEnding
{
    /// <summary>Why the sequence ended; <see cref="EndReason.Error"/> and what follows it with an <see cref="ErrorCode"/>.</summary>
    public required EndReason Reason { get; init; }

    /// <summary>The stop string that ended it.</summary>
    public string? StopString { get; init; }

    /// <summary>The stop token that ended it.</summary>
    public int? StopTokenId { get; init; }

    /// <summary>What failed; null where the output ended as it should.</summary>
    public ErrorCode? Failure { get; init; }

    /// <summary>What the client is told about the failure.</summary>
    public string Message { get; init; } = string.Empty;

    /// <summary>Whether the same request may succeed elsewhere or later.</summary>
    public bool Retryable { get; init; }

    /// <summary>Tokens of the output that were reasoning.</summary>
    public int ReasoningTokens { get; init; }

    /// <summary>Tool calls in the output.</summary>
    public int ToolCalls { get; init; }

    /// <summary>The ending that the engine gave.</summary>
    /// <param name="last">The engine's last delta.</param>
    /// <param name="engineFailure">Why the model is not served any more, if so.</param>
    public static OutputEnding Of(TokenDelta last, string? engineFailure) => last.FinishReason switch
    {
        EndReason.Error when engineFailure is not null =>
            Failed(EndReason.Error, ErrorCode.EngineFailed, "The model's engine failed while it ran the request.", true),
        EndReason.Error => Failed(EndReason.Error, ErrorCode.Internal, last.Error ?? "The request failed.", false),
        EndReason.Exhausted =>
            Failed(EndReason.Exhausted, ErrorCode.Exhausted, "There was no memory left to go on with this request.", true),
        EndReason.Drained =>
            Failed(EndReason.Drained, ErrorCode.Drained, "The server stopped before the request ended.", true),
        EndReason.SlowReader =>
            Failed(EndReason.SlowReader, ErrorCode.SlowReader, "The client did not read its stream.", false),
        _ => new OutputEnding { Reason = last.FinishReason, StopTokenId = last.MatchedStopTokenId },
    };

    /// <summary>An ending that is a failure.</summary>
    public static OutputEnding Failed(EndReason reason, ErrorCode code, string message, bool retryable) =>
        new() { Reason = reason, Failure = code, Message = message, Retryable = retryable };
}
