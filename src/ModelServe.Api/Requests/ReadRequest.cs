using ModelServe.Api.Metrics;
using ModelServe.Api.Models;
using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.ToolCalls;
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

    /// <summary>The grammar that the output is to follow, still to be compiled; null for any text.</summary>
    public WantedGrammar? Wanted { get; init; }
}

/// <summary>How the tokens of one request become text, and which text ends it.</summary>
/// <param name="SkipSpecialTokens">Whether special tokens leave no trace in the text.</param>
/// <param name="StopStrings">Texts that end the output.</param>
/// <param name="IncludeStop">Whether the text shows the stop string or token that ended it.</param>
/// <param name="MinTokens">Stop strings are not looked for before the output has this many tokens.</param>
internal sealed record OutputRules(bool SkipSpecialTokens, string[] StopStrings, bool IncludeStop, int MinTokens)
{
    /// <summary>How reasoning and tool calls are taken out of the text; null leaves it whole.</summary>
    public AnswerReading? Answer { get; init; }

    /// <summary>Whether the client named the tool to call: such an answer ends as any text does, not by the model's decision to call.</summary>
    public bool IsNamedCall { get; init; }
}

/// <summary>How one answer is taken apart.</summary>
/// <param name="Format">The model's form of calls and reasoning.</param>
/// <param name="Options">What depends on the request.</param>
internal sealed record AnswerReading(AnswerFormat Format, AnswerOptions Options)
{
    private const int PromptEnd = 24;

    /// <summary>Where the reasoning stands when the answer begins.</summary>
    public ReasoningPlace Reasoning { get; private init; }

    /// <summary>The reading of the answer to a conversation; null where the model's form has nothing to take apart.</summary>
    /// <param name="model">The model.</param>
    /// <param name="tools">The tools that may be called; null for none.</param>
    /// <param name="prompt">The rendered conversation, whose end may have opened the reasoning.</param>
    /// <param name="beginning">The beginning of the answer that the prompt ends with; null where the answer begins behind it.</param>
    public static AnswerReading? Of(ServedModel model, System.Text.Json.Nodes.JsonArray? tools, int[] prompt, string? beginning = null)
    {
        AnswerFormat format = model.Answers;
        // The form of gpt-oss carries content and reasoning too, and is read always; then no name is known, and no call comes.
        if (tools is null && format.Tools != ToolFormat.Harmony)
        {
            format = format with { Tools = ToolFormat.None };
        }

        if (format.Tools == ToolFormat.None && format.Reasoning is null)
        {
            return null;
        }

        string end = model.Text.Tokenizer.DecodeIds(prompt.AsSpan(Math.Max(0, prompt.Length - PromptEnd)), skipSpecialTokens: false);
        bool isBegun = format.Reasoning is { } markers && (markers.IsOpenedBy(end) || (beginning is not null && markers.IsLeftOpenBy(beginning)));
        bool isOver = format.Reasoning?.IsClosedBy(end) != false || !string.IsNullOrWhiteSpace(beginning);
        return new AnswerReading(format, new AnswerOptions { ReasoningBegun = isBegun, Tools = tools, KnownToolsOnly = true })
        {
            Reasoning = isBegun ? ReasoningPlace.Begun : isOver ? ReasoningPlace.None : ReasoningPlace.Possible,
        };
    }
}
