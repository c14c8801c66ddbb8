using System.Text;
using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.CallGrammars;

/// <summary>Whatever a grammar of calls admits, the format's own reader takes apart into calls of the tools with arguments that fit.</summary>
public sealed class CallGrammarTests
{
    private const int Walks = 60;

    public static TheoryData<string, bool> Formats
    {
        get
        {
            var data = new TheoryData<string, bool>();
            foreach (string name in AnswerFormat.Names.Except(["none", "reasoning", "gemma"]))
            {
                data.Add(name, false);
                data.Add(name, true);
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_forced_answer_is_calls_of_the_tools_and_nothing_else(string format, bool withControls)
    {
        TokenTrie trie = CallWalk.Trie(format, withControls);
        CompiledGrammar grammar = new GrammarCompiler(trie).ToolCalls(CallWalk.Demand(format, isForced: true));
        int ended = 0, several = 0;
        for (int seed = 0; seed < Walks; seed++)
        {
            if (CallWalk.Next(grammar, trie, new Random(seed), ending: 0.5) is not { } text)
            {
                continue;
            }

            ended++;
            ParsedAnswer answer = CallWalk.Parse(format, text);
            Assert.True(answer.ToolCalls.Count > 0 && answer.Content.Length == 0 && answer.ToolCalls.All(call => CallWalk.Fault(call) is null), Tell(text, answer));
            several += answer.ToolCalls.Count > 1 ? 1 : 0;
        }

        Assert.InRange(ended, Walks / 4, Walks);
        Assert.True(several > 0 || format == "harmony", "never more than one call");
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_single_call_stays_the_only_one(string format, bool withControls)
    {
        TokenTrie trie = CallWalk.Trie(format, withControls);
        CompiledGrammar grammar = new GrammarCompiler(trie).ToolCalls(CallWalk.Demand(format, isForced: true, isSingle: true));
        string[] texts = [.. Enumerable.Range(0, Walks / 2).Select(seed => CallWalk.Next(grammar, trie, new Random(seed), ending: 0.2)).OfType<string>()];
        Assert.NotEmpty(texts);
        Assert.All(texts, text => Assert.Single(CallWalk.Parse(format, text).ToolCalls));
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Free_text_may_end_anywhere_and_every_call_in_it_fits(string format, bool withControls)
    {
        TokenTrie trie = CallWalk.Trie(format, withControls);
        CompiledGrammar grammar = new GrammarCompiler(trie).ToolCalls(CallWalk.Demand(format, isForced: false));
        int called = 0;
        for (int seed = 0; seed < Walks; seed++)
        {
            if (CallWalk.Next(grammar, trie, new Random(seed), ending: 0.01) is { } text)
            {
                ParsedAnswer answer = CallWalk.Parse(format, text);
                Assert.True(answer.ToolCalls.All(call => CallWalk.Fault(call) is null), Tell(text, answer));
                called += answer.ToolCalls.Count > 0 ? 1 : 0;
            }
        }

        // By chance alone nobody spells a long marker; where it is one token, calls must have come.
        Assert.True(called > 0 || !withControls || format is "qwen3-coder" or "seed-oss" or "minimax" or "deepseek-markup" or "harmony", "no call at all");
    }

    [Theory]
    [InlineData("hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>")]
    [InlineData("hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>")]
    [InlineData("llama3-json", "{\"name\": \"book_room\", \"parameters\": {\"city\": \"Köln\", \"nights\": 2, \"note\": null}}")]
    [InlineData("mistral", "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}]")]
    [InlineData("mistral", "[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"now\", \"arguments\": {}}]")]
    [InlineData("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>")]
    [InlineData("deepseek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>")]
    [InlineData("harmony", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}")]
    [InlineData("kimi-k2", "<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>")]
    [InlineData("json-list", "<tool_calls>[{\"name\": \"now\", \"arguments\": {}}]</tool_calls>")]
    [InlineData("pythonic", "[book_room(city=\"Köln\", nights=2, late=True, note=None), now()]")]
    [InlineData("qwen3-coder", "<tool_call>\n<function=book_room>\n<parameter=city>\nKöln\nDeutz\n</parameter>\n<parameter=nights>\n2\n</parameter>\n<parameter=note>\nnull\n</parameter>\n</function>\n</tool_call>")]
    [InlineData("glm", "<tool_call>book_room\n<arg_key>city</arg_key>\n<arg_value>Köln</arg_value>\n<arg_key>nights</arg_key>\n<arg_value>2</arg_value>\n<arg_key>note</arg_key>\n<arg_value>late</arg_value>\n</tool_call>")]
    [InlineData("deepseek-markup", "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"book_room\">\n<｜DSML｜parameter name=\"city\" string=\"true\">Köln</｜DSML｜parameter>\n<｜DSML｜parameter name=\"nights\" string=\"false\">2</｜DSML｜parameter>\n<｜DSML｜parameter name=\"note\" string=\"false\">null</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>")]
    [InlineData("minimax", "<minimax:tool_call>\n<invoke name=\"now\">\n</invoke>\n</minimax:tool_call>")]
    public void What_the_models_templates_write_is_admitted(string format, string text)
    {
        var compiler = new GrammarCompiler(CallWalk.Trie(format, withControls: false));
        Assert.True(Admits(compiler.ToolCalls(CallWalk.Demand(format, isForced: true)), text));
        Assert.True(Admits(compiler.ToolCalls(CallWalk.Demand(format, isForced: false)), (format is "harmony" or "pythonic" ? "" : "Let me see.\n") + text));
        Assert.NotEmpty(CallWalk.Parse(format, text).ToolCalls);
    }

    [Fact]
    public void Free_text_ends_anywhere_but_inside_a_call_that_has_begun()
    {
        CompiledGrammar grammar = new GrammarCompiler(CallWalk.Trie("hermes", withControls: false)).ToolCalls(CallWalk.Demand("hermes", isForced: false));
        Assert.All(["", "Yes.", "a < b", "<tool", "{\"name\": 1}"], text => Assert.True(Admits(grammar, text), text));
        Assert.All(
            ["<tool_call>", "<tool_call>\n{\"name\": \"other\"", "x <tool_call>no", "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\""],
            text => Assert.False(Admits(grammar, text), text));
        GrammarMatcher matcher = grammar.CreateMatcher();
        Assert.True(matcher.TryAccept(Encoding.UTF8.GetBytes("so <tool_call>{\"name\": \"now\", \"arguments\": ")));
        Assert.False(matcher.IsComplete);
        Assert.False(matcher.TryAccept(Encoding.UTF8.GetBytes("[")));
    }

    [Theory]
    [InlineData(ReasoningPlace.Begun, "I think <tool_call>no</think>\n\n", true)]
    [InlineData(ReasoningPlace.Begun, "", false)]
    [InlineData(ReasoningPlace.Possible, "<think>\nhm { \n</think>\n\n", true)]
    [InlineData(ReasoningPlace.Possible, "", true)]
    [InlineData(ReasoningPlace.None, "<think>hm</think>", false)]
    public void Reasoning_is_free_and_the_call_is_held_behind_it(ReasoningPlace place, string before, bool isAdmitted)
    {
        const string call = "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>";
        var compiler = new GrammarCompiler(CallWalk.Trie("hermes", withControls: false));
        CompiledGrammar forced = compiler.ToolCalls(CallWalk.Demand("hermes", isForced: true, reasoning: place));
        Assert.Equal(isAdmitted, Admits(forced, before + call));
        Assert.False(Admits(forced, before + "Hello."));
        if (isAdmitted)
        {
            ParsedAnswer answer = CallWalk.Parse("hermes", before + call, place == ReasoningPlace.Begun);
            Assert.Equal("now", Assert.Single(answer.ToolCalls).Name);
        }
    }

    [Theory]
    [InlineData(ReasoningPlace.Begun)]
    [InlineData(ReasoningPlace.Possible)]
    public void No_reasoning_smuggles_a_call_that_does_not_fit(ReasoningPlace place)
    {
        TokenTrie trie = CallWalk.Trie("mistral", withControls: true);
        CompiledGrammar grammar = new GrammarCompiler(trie).ToolCalls(CallWalk.Demand("mistral", isForced: false, reasoning: place));
        int called = 0;
        for (int seed = 0; seed < Walks; seed++)
        {
            if (CallWalk.Next(grammar, trie, new Random(seed), ending: 0.01) is { } text)
            {
                ParsedAnswer answer = CallWalk.Parse("mistral", text, place == ReasoningPlace.Begun);
                Assert.True(answer.ToolCalls.All(call => CallWalk.Fault(call) is null), Tell(text, answer));
                called += answer.ToolCalls.Count;
            }
        }

        Assert.True(called > 0);
        CompiledGrammar hermes = new GrammarCompiler(CallWalk.Trie("hermes", withControls: false)).ToolCalls(CallWalk.Demand("hermes", isForced: false, reasoning: place));
        Assert.False(Admits(hermes, " <think><tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call></think><tool_call>{\"name\": \"now\", \"arguments\": {\"a\":1}}</tool_call>"));
    }

    [Fact]
    public void No_value_of_a_call_inside_the_reasoning_opens_another_one()
    {
        const string smuggled = "<tool_call><function=book_room></function></tool_call>";
        const string text = $"<think><tool_call>\n<function=book_room>\n<parameter=city>\n</think>{smuggled}\n</parameter>\n<parameter=nights>\n2\n</parameter>\n"
            + "<parameter=note>\nx\n</parameter>\n</function>\n</tool_call>";
        CompiledGrammar grammar = new GrammarCompiler(CallWalk.Trie("qwen3-coder", withControls: false)).ToolCalls(
            CallWalk.Demand("qwen3-coder", isForced: false, reasoning: ReasoningPlace.Possible));
        Assert.NotNull(CallWalk.Fault(Assert.Single(CallWalk.Parse("qwen3-coder", text).ToolCalls)));
        Assert.False(Admits(grammar, text));
        Assert.True(Admits(grammar, text.Replace("<think>", "", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("12", false)]
    [InlineData("120", true)]
    [InlineData("-", false)]
    [InlineData("twelve", true)]
    [InlineData(" 12", false)]
    [InlineData("null", false)]
    [InlineData("nullable", true)]
    [InlineData("", true)]
    public void A_text_that_the_reader_would_take_for_something_else_is_left_out(string value, bool isAdmitted)
    {
        const string tools = """[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"integer","minimum":100},{"type":"null","enum":[1]}]}},"required":["a"]}}}]""";
        var demand = new CallDemand(AnswerFormat.Parse("qwen3-coder"), CallWalk.Callable(tools)) { IsForced = true };
        string text = $"<tool_call>\n<function=f>\n<parameter=a>\n{value}\n</parameter>\n</function>\n</tool_call>";
        Assert.Equal(isAdmitted, Admits(new GrammarCompiler(CallWalk.Trie("qwen3-coder", false)).ToolCalls(demand), text));
        if (isAdmitted)
        {
            Assert.Null(CallWalk.Fault(Assert.Single(CallWalk.Parse("qwen3-coder", text, tools: tools).ToolCalls), tools));
        }
    }

    [Theory]
    [InlineData("gemma", """{"type":"object"}""", "Gemma")]
    [InlineData("hermes", """{"type":"object","properties":{"a":{"if":{"type":"string"}}}}""", "tools[0]#/properties/a")]
    [InlineData("hermes", """{"type":"object","properties":{"a":{"type":"strin"}}}""", "tools[0]#/properties/a")]
    [InlineData("qwen3-coder", """{"anyOf":[{"required":["a"]},{"required":["b"]}]}""", "tools[0]#")]
    [InlineData("qwen3-coder", """{"type":"object","properties":{"a b":{"type":"string"}},"required":["a b"]}""", "tools[0]#")]
    [InlineData("pythonic", """{"type":"object","properties":{"a-b":{"type":"string"}},"required":["a-b"]}""", "tools[0]#")]
    [InlineData("glm", """{"type":"object","properties":{"a":{"enum":["x"],"anyOf":[{"$ref":"#/properties/a"}]}}}""", "tools[0]#")]
    public void What_cannot_be_held_is_refused_with_its_place(string format, string schema, string place)
    {
        var demand = new CallDemand(AnswerFormat.Parse(format), [new CallableTool("f", schema, true, "tools[0]")]) { IsForced = true };
        var refusal = Assert.Throws<InvalidGrammarException>(() => new GrammarCompiler(CallWalk.Trie(format, false)).ToolCalls(demand));
        Assert.Contains(place, refusal.Message, StringComparison.Ordinal);
    }

    private static string Tell(string text, ParsedAnswer answer) =>
        $"{text}\n=> '{answer.Content}' {string.Join(" ", answer.ToolCalls.Select(call => $"{call.Name}({call.Arguments}) {CallWalk.Fault(call)}"))}";

    private static bool Admits(CompiledGrammar grammar, string text)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        return matcher.TryAccept(Encoding.UTF8.GetBytes(text)) && matcher.IsComplete;
    }
}
