using System.Text.Json;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.CallGrammars;

/// <summary>
/// Answers whose tool calls are held to their tools. Forced, the answer is calls alone; else it is any text, and from the first opening of a call on
/// it is calls to its end. Reasoning before either is free. What the grammar admits, the format's own reader takes apart into such calls.
/// </summary>
internal static class CallGrammar
{
    // Markers of an answer's text that open no call: what the reader drops from the content.
    private static readonly string[] TextMarkers = ["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"];

    /// <summary>The grammar of a demand.</summary>
    /// <exception cref="InvalidGrammarException">A schema is malformed or too large, or it, or the format, cannot be held to.</exception>
    public static CompiledGrammar Build(CallDemand demand, TokenTrie trie, FreeText text, GrammarLimits limits)
    {
        CheckLength(demand, limits);
        var builder = new GrammarBuilder(limits);
        JsonDialect dialect = demand.Format.Tools switch
        {
            ToolFormat.Pythonic => JsonDialect.Python,
            ToolFormat.Qwen3Coder or ToolFormat.SeedOss or ToolFormat.Glm or ToolFormat.DeepSeekMarkup or ToolFormat.MiniMax => JsonDialect.InMarkup,
            _ => JsonDialect.Plain,
        };
        var json = new JsonRules(builder, dialect);
        var documents = new List<JsonDocument>();
        try
        {
            var tools = new List<ToolArguments>();
            foreach (CallableTool tool in demand.Tools)
            {
                documents.Add(Parse(tool, limits));
                tools.Add(new ToolArguments(builder, json, tool, documents[^1].RootElement));
            }

            var parts = new CallParts(builder, json, text, tools, demand.IsSingle);
            RuleNode answer = demand.Format.Tools == ToolFormat.Harmony
                ? HarmonyForms.Answer(parts, builder, text, demand.IsForced)
                : Answer(demand, parts, builder, text);
            int root = builder.Add("answer", answer);
            foreach (ToolArguments tool in tools)
            {
                tool.Finish();
            }

            return builder.Build(root, trie, hasEndMark: !demand.IsForced);
        }
        finally
        {
            documents.ForEach(document => document.Dispose());
        }
    }

    private static RuleNode Answer(CallDemand demand, CallParts parts, GrammarBuilder builder, FreeText text)
    {
        ToolFormat format = demand.Format.Tools;
        IReadOnlyList<CallForm> forms = JsonForms.Of(format, parts) ?? MarkupForms.Of(format, parts)
            ?? (format == ToolFormat.Pythonic ? PythonForms.Of(parts) : throw new InvalidGrammarException(
                "", $"calls in the model's format ({format}) cannot be held to a grammar", isUnsupported: true));
        RuleNode calls = RuleNode.Either([.. forms.Select(form => RuleNode.Then(parts.Marker(form.Opener), form.Rest))]);
        TextOpening[] openings = demand.IsForced ? [] : Openings(format, forms);
        RuleNode Free(string? notBeginning) => demand.IsForced ? calls : RuleNode.Either(
        [
            .. forms.Select((form, i) => RuleNode.Then(Text(builder, text.UpTo(openings[i], openings, notBeginning)), form.Rest)),
            Text(builder, text.ToEnd(openings, notBeginning)),
        ]);
        if (demand.Format.Reasoning is not { } reasoning || demand.Reasoning == ReasoningPlace.None)
        {
            return Free(null);
        }

        var close = new TextOpening(reasoning.Close);
        RuleNode thought = RuleNode.Then(Text(builder, text.UpTo(close, [close])), parts.Space, Free(null));
        return demand.Reasoning == ReasoningPlace.Begun
            ? thought
            : RuleNode.Either(RuleNode.Then(parts.Space, parts.Marker(reasoning.Open), thought), Free(demand.IsForced ? null : reasoning.Open));
    }

    private static RuleNode.Call Text(GrammarBuilder builder, Automaton automaton) => new(builder.Add("text", automaton));

    // The forms' own openings first; then what the reader takes for one, and no form writes.
    private static TextOpening[] Openings(ToolFormat format, IReadOnlyList<CallForm> forms)
    {
        IEnumerable<string> read = AnswerParser.Scanner(format, new AnswerSink(static () => ""), new ToolSchemas(null))!.Openers;
        string[] controls = format == ToolFormat.JsonList ? TextMarkers : [];
        return
        [
            .. forms.Select(form => new TextOpening(form.Opener, form.Place, controls)),
            .. read.Except(TextMarkers).Except(forms.Select(form => form.Opener)).Select(marker => new TextOpening(marker, OpeningPlace.Anywhere, controls)),
        ];
    }

    private static JsonDocument Parse(CallableTool tool, GrammarLimits limits)
    {
        try
        {
            return JsonDocument.Parse(tool.Schema, new JsonDocumentOptions { MaxDepth = limits.Depth });
        }
        catch (JsonException)
        {
            throw new InvalidGrammarException(tool.Place, $"not JSON, or nested deeper than {limits.Depth}");
        }
    }

    private static void CheckLength(CallDemand demand, GrammarLimits limits)
    {
        int length = demand.Tools.Sum(tool => tool.Schema.Length + tool.Name.Length);
        if (demand.Tools.Count == 0 || length > limits.SourceCharacters)
        {
            throw new InvalidGrammarException(
                "tools", $"1 or more tools whose schemas have at most {limits.SourceCharacters} characters together; got {demand.Tools.Count} with {length}");
        }
    }
}
