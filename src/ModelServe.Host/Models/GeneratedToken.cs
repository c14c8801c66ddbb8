using ModelServe.Engine.Admission;

namespace ModelServe.Host.Models;

/// <summary>One token of an answer, or the answer's ending (then <see cref="Id"/> is null).</summary>
/// <param name="Id">The token.</param>
/// <param name="Text">The text that it released; empty while a character is incomplete.</param>
/// <param name="Logprob">Its natural-log probability, if asked for.</param>
/// <param name="Top">The most likely tokens, best first, if asked for.</param>
internal sealed record GeneratedToken(int? Id, string Text, float? Logprob, IReadOnlyList<(int Id, float Logprob)> Top)
{
    /// <summary>Set on the ending only.</summary>
    public FinishReason FinishReason { get; init; }

    /// <summary>What went wrong, on an ending with <see cref="FinishReason.Error"/>.</summary>
    public string? Error { get; init; }

    /// <summary>Set on the ending only.</summary>
    public RequestTimings? Timings { get; init; }
}
