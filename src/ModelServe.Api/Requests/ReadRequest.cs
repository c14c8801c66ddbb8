using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>A request that passed every check: what the engine gets, what the output rules are, what the client is told applies.</summary>
/// <param name="Model">The model that serves it.</param>
/// <param name="Request">What the engine gets; its deadline is set at admission.</param>
/// <param name="Output">How tokens become text.</param>
/// <param name="Effective">Every option with the value that applies.</param>
internal sealed record ReadRequest(
    ServedModel Model, GenerationRequest Request, OutputRules Output, GenerationOptions Effective)
{
    /// <summary>What kind of request it is, as metrics and traces call it.</summary>
    public string Operation { get; init; } = GenAiMetrics.TextCompletion;
}

/// <summary>How the tokens of one request become text, and which text ends it.</summary>
/// <param name="SkipSpecialTokens">Whether special tokens leave no trace in the text.</param>
/// <param name="StopStrings">Texts that end the output.</param>
/// <param name="IncludeStop">Whether the text shows the stop string or token that ended it.</param>
/// <param name="MinTokens">Stop strings are not looked for before the output has this many tokens.</param>
internal sealed record OutputRules(bool SkipSpecialTokens, string[] StopStrings, bool IncludeStop, int MinTokens);
