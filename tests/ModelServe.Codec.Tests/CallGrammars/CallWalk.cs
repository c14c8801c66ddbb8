using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;

namespace ModelServe.Codec.Tests.CallGrammars;

/// <summary>Tools, vocabularies and random texts that a grammar of calls admits.</summary>
internal static class CallWalk
{
    private const int MostSteps = 1500;

    private static readonly Dictionary<string, string[]> Controls = new()
    {
        ["hermes"] = ["<tool_call>", "</tool_call>"],
        ["mistral"] = ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"],
        ["deepseek"] = ["<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"],
        ["harmony"] = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"],
        ["kimi-k2"] = ["<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "<|tool_calls_section_end|>"],
        ["json-list"] = ["<|tool_call|>"],
        ["command-r"] = ["<|START_ACTION|>", "<|END_ACTION|>", "<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"],
        ["pythonic"] = ["<|python_start|>", "<|python_end|>"],
        ["llama3-json"] = ["<|python_tag|>"],
        ["deepseek-markup"] = ["｜DSML｜"],
        ["glm"] = ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    };

    /// <summary>Two tools, with what schemas of real tools have.</summary>
    public const string Tools = """
        [{"type":"function","function":{"name":"book_room","parameters":{"type":"object","properties":{
            "city":{"type":"string"},"nights":{"type":"integer","minimum":1,"maximum":30},"kind":{"type":"string","enum":["single","double"]},
            "late":{"type":"boolean"},"note":{"type":["string","null"]},"code":{"type":"string","pattern":"^[A-Z]{2}[0-9]$"},
            "guests":{"type":"array","items":{"$ref":"#/$defs/guest"},"maxItems":3}},
            "required":["city","nights","note"],"additionalProperties":false,
            "$defs":{"guest":{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"anyOf":[{"type":"integer"},{"type":"null"}]}},"required":["name"],"additionalProperties":false}}}}},
         {"type":"function","function":{"name":"now","parameters":{"type":"object","properties":{},"additionalProperties":false}}}]
        """;

    /// <summary>The 256 bytes; with the format's control tokens, where it has any and they are wanted.</summary>
    public static TokenTrie Trie(string format, bool withControls)
    {
        string[] controls = withControls ? Controls.GetValueOrDefault(format, []) : [];
        return new TokenTrie(
            [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })],
            controls.Select((text, i) => (text, i)).ToDictionary(one => 256 + one.i, one => Encoding.UTF8.GetBytes(one.text)),
            256 + controls.Length);
    }

    /// <summary>What is asked of an answer.</summary>
    public static CallDemand Demand(string format, bool isForced, bool isSingle = false, ReasoningPlace reasoning = ReasoningPlace.None) =>
        new(AnswerFormat.Parse(format), Callable()) { IsForced = isForced, IsSingle = isSingle, Reasoning = reasoning };

    /// <summary>The tools as the grammar wants them.</summary>
    public static IReadOnlyList<CallableTool> Callable(string tools = Tools)
    {
        using JsonDocument document = JsonDocument.Parse(tools);
        return [.. document.RootElement.EnumerateArray().Select((tool, i) => new CallableTool(
            tool.GetProperty("function").GetProperty("name").GetString()!, tool.GetProperty("function").GetProperty("parameters").GetRawText(), true, $"tools[{i}]"))];
    }

    /// <summary>The answer that the format's own reader sees.</summary>
    public static ParsedAnswer Parse(string format, string text, bool begun = false, string tools = Tools) => AnswerParser.Parse(
        text, AnswerFormat.Parse(format), new AnswerOptions { Tools = (JsonArray)JsonNode.Parse(tools)!, KnownToolsOnly = true, ReasoningBegun = begun });

    /// <summary>Why a call is none of the tools'; null if it is one.</summary>
    public static string? Fault(ToolCall call, string tools = Tools)
    {
        using JsonDocument document = JsonDocument.Parse(tools);
        foreach (JsonElement tool in document.RootElement.EnumerateArray().Select(tool => tool.GetProperty("function")))
        {
            if (tool.GetProperty("name").GetString() == call.Name)
            {
                using JsonDocument arguments = JsonDocument.Parse(call.Arguments);
                JsonElement schema = tool.GetProperty("parameters");
                return SchemaCheck.Fault(arguments.RootElement, schema, schema);
            }
        }

        return $"no tool '{call.Name}'";
    }

    /// <summary>A text that the grammar admits, or null where it did not end in time.</summary>
    /// <param name="grammar">The grammar.</param>
    /// <param name="trie">Its vocabulary.</param>
    /// <param name="random">Chooses tokens, the end of things more often than not.</param>
    /// <param name="ending">Chance to end where the text may.</param>
    public static string? Next(CompiledGrammar grammar, TokenTrie trie, Random random, double ending)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        var mask = new uint[trie.MaskWords];
        var bytes = new List<byte>();
        for (int step = 0; step < MostSteps; step++)
        {
            bool any = matcher.FillMask(mask);
            if (matcher.IsComplete && (!any || random.NextDouble() < ending))
            {
                return Encoding.UTF8.GetString([.. bytes]);
            }

            int[] allowed = [.. Enumerable.Range(0, trie.VocabularySize).Where(id => (mask[id >> 5] >> (id & 31) & 1) != 0)];
            int[] closing = [.. allowed.Where(id => trie.BytesOf(id)[0] is (byte)'"' or (byte)'}' or (byte)']' or (byte)'<' or (byte)'/' or (byte)'\n' or (byte)'[' or TokenTrie.ControlMark)];
            int[] from = closing.Length > 0 && random.NextDouble() < 0.5 ? closing : allowed;
            int token = from[random.Next(from.Length)];
            if (!matcher.TryAccept(token))
            {
                throw new InvalidOperationException($"the mask allows token {token}, the grammar does not");
            }

            bytes.AddRange(trie.BytesOf(token).ToArray().SkipWhile(value => value == TokenTrie.ControlMark));
        }

        return null;
    }
}
