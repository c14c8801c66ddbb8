using System.Collections.Frozen;
using System.Text;
using CsCheck;
using ModelServe.Codec.Grammars;
using Xunit;

namespace ModelServe.Codec.Tests.Grammars;

/// <summary>Grammars followed byte by byte, and their masks against a token-by-token trial.</summary>
public sealed class GrammarTests
{
    private static readonly GrammarCompiler Compiler = new(ByteVocabulary.Trie);

    [Theory]
    [InlineData("a|bc", "a bc", "b abc ac")]
    [InlineData("[a-c]{2,3}", "ab abc", "a abcd ad")]
    [InlineData("\\d+(\\.\\d*)?", "1 12. 3.4", ". 1.2.3 a")]
    [InlineData("(?:x|(y))*z", "z xyz yxxz", "xy xz! zz")]
    [InlineData("[^a-z]é?", "Aé 1 -", "a Aè")]
    [InlineData("\\u00e9\\x41", "éA", "eA é")]
    [InlineData("^a+$", "a aaa", "b ab")]
    public void A_pattern_admits_whole_matches_only(string pattern, string matches, string others)
    {
        CompiledGrammar grammar = Compiler.Regex(pattern);
        Assert.All(matches.Split(' '), text => Assert.True(Admits(grammar, text), text));
        Assert.All(others.Split(' '), text => Assert.False(Admits(grammar, text), text));
    }

    [Theory]
    [InlineData("(?=a)b", true)]
    [InlineData("a\\b", true)]
    [InlineData("(a)\\1", true)]
    [InlineData("\\p{L}", true)]
    [InlineData("a^b", true)]
    [InlineData("(a", false)]
    [InlineData("a)", false)]
    [InlineData("[a", false)]
    [InlineData("*a", false)]
    [InlineData("a{3,2}", false)]
    [InlineData("[z-a]", false)]
    [InlineData("\\", false)]
    [InlineData("(a{1000}){1000}", false)]
    [InlineData("((){9999999}){9999999}(((((a{99}){99}){99}){99}){99})", false)]
    public void A_pattern_that_cannot_be_followed_is_refused(string pattern, bool isUnsupported)
    {
        var refusal = Assert.Throws<InvalidGrammarException>(() => Compiler.Regex(pattern));
        Assert.Equal(isUnsupported, refusal.IsUnsupported);
    }

    [Fact]
    public void Thousands_of_brackets_are_refused_and_nothing_overflows()
    {
        Assert.Throws<InvalidGrammarException>(() => Compiler.Regex(new string('(', 30_000)));
        Assert.Throws<InvalidGrammarException>(() => Compiler.JsonSchema(new string('[', 30_000)));
        Assert.Throws<InvalidGrammarException>(() => Compiler.JsonSchema("""{"allOf":[{"$ref":"#"}],"type":"nope"}"""));
        Assert.Throws<InvalidGrammarException>(() => Compiler.JsonSchema("""{"anyOf":[{"$ref":"#"}]}"""));
    }

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"],"additionalProperties":false}""",
        """{"a": 1, "b": "x"}|{"b":""}""", """{}|{"b": "x", "a": 1}|{"a": 1.5, "b": ""}|{"b":"x","c":1}""")]
    [InlineData("""{"type":"array","items":{"enum":["x",1,null]},"minItems":1,"maxItems":3}""", """["x"]|[1, null, "x"]""", """[]|[1,1,1,1]|["y"]|[1,]""")]
    [InlineData("""{"type":"integer","minimum":-3,"maximum":12}""", "-3|0|7|12", "-4|13|1.5|-0|01")]
    [InlineData("""{"type":"number","exclusiveMinimum":0.25,"maximum":3.5}""", "0.251|1|3.5|3.50|2.999", "0.25|0.2|3.51|4|-1")]
    [InlineData("""{"type":"integer","multipleOf":7}""", "0|7|-14|70", "1|8|-13|07")]
    [InlineData("""{"type":"string","minLength":2,"maxLength":3}""", "\"ab\"|\"aé€\"|\"😀😀\"|\"\\n\\\"\"", "\"a\"|\"abcd\"|\"\"")]
    [InlineData("""{"type":"string","pattern":"^a.c$"}""", "\"abc\"|\"a\\\"c\"", "\"ab\"|\"abcd\"|\"a\\nc\"")]
    [InlineData("""{"type":"string","pattern":"b"}""", "\"abc\"|\"b\"", "\"ac\"|\"\"")]
    [InlineData("""{"type":"string","format":"date"}""", "\"2024-02-29\"|\"2023-12-31\"", "\"2023-02-30\"|\"2023-13-01\"|\"x\"")]
    [InlineData("""{"type":"object","patternProperties":{"^x":{"type":"integer"}},"additionalProperties":{"type":"string"}}""",
        """{"x1":1,"y":"s"}|{}""", """{"x1":"s"}|{"y":1}""")]
    [InlineData("""{"oneOf":[{"type":"string"},{"type":"null"}]}""", "\"a\"|null", "1|true")]
    [InlineData("""{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"n":{"$ref":"#/$defs/n"}},"required":["v"],"additionalProperties":false}},"$ref":"#/$defs/n"}""",
        """{"v":1}|{"v":1,"n":{"v":2,"n":{"v":3}}}""", """{"n":{"v":1}}|{"v":1,"n":{}}""")]
    [InlineData("""{"allOf":[{"type":"object","properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer","maximum":4}},"required":["a"]}]}""",
        """{"a":3}|{"a":4,"z":[]}""", """{"a":2}|{"a":5}|{}""")]
    [InlineData("""{"not":{"type":"string"}}""", "1|[]|null", "\"a\"")]
    [InlineData("""{"type":"object","minProperties":1,"maxProperties":2}""", """{"a":1}|{"a":1,"b":2}""", """{}|{"a":1,"b":2,"c":3}""")]
    public void A_schema_admits_what_it_says(string schema, string valid, string invalid)
    {
        CompiledGrammar grammar = Compiler.JsonSchema(schema);
        Assert.All(valid.Split('|'), text => Assert.True(Admits(grammar, text), text));
        Assert.All(invalid.Split('|'), text => Assert.False(Admits(grammar, text), text));
    }

    [Theory]
    [InlineData("""{"if":{"type":"string"}}""")]
    [InlineData("""{"dependentRequired":{"a":["b"]}}""")]
    [InlineData("""{"type":"array","uniqueItems":true}""")]
    [InlineData("""{"oneOf":[{"minimum":1},{"maximum":3}],"type":"integer"}""")]
    [InlineData("""{"$ref":"http://elsewhere"}""")]
    public void A_schema_that_cannot_be_kept_is_refused_by_name(string schema) =>
        Assert.True(Assert.Throws<InvalidGrammarException>(() => Compiler.JsonSchema(schema)).IsUnsupported);

    [Theory]
    [InlineData("""{"type":"nope"}""", "#/type")]
    [InlineData("""{"properties":{"a":{"pattern":"["}}}""", "#/properties/a/pattern")]
    [InlineData("""{"type":"string","minLength":-1}""", "#/minLength")]
    [InlineData("""{"properties":{"a":7}}""", "#/properties/a")]
    [InlineData("""{"$ref":"#/nowhere"}""", "#/$ref")]
    [InlineData("""{"properties":{"a":{"uniqueItems":true,"type":"array"}}}""", "#/properties/a/uniqueItems")]
    [InlineData("""{"items":{"type":"number","multipleOf":0.3}}""", "#/items/multipleOf")]
    public void A_schema_is_refused_with_the_place_of_what_is_wrong(string schema, string place) =>
        Assert.Equal(place, Assert.Throws<InvalidGrammarException>(() => Compiler.JsonSchema(schema)).Place);

    [Fact]
    public void Random_integer_bounds_admit_exactly_the_numbers_between() =>
        Gen.Select(Gen.Int[-2000, 2000], Gen.Int[-2000, 2000], Gen.Int[-2100, 2100]).Sample(
            (a, b, value) =>
            {
                (int low, int high) = (Math.Min(a, b), Math.Max(a, b));
                CompiledGrammar grammar = Compiler.JsonSchema($$"""{"type":"integer","minimum":{{low}},"maximum":{{high}}}""");
                return Admits(grammar, $"{value}") == (low <= value && value <= high);
            },
            iter: 300);

    [Fact]
    public void Random_decimal_bounds_admit_exactly_the_numbers_between() =>
        Gen.Select(Gen.Int[-3000, 3000], Gen.Int[-3000, 3000], Gen.Int[-3100, 3100], Gen.Bool).Sample(
            (a, b, value, isExclusive) =>
            {
                decimal low = Math.Min(a, b) / 100m, high = Math.Max(a, b) / 100m, number = value / 100m;
                string prefix = isExclusive ? "exclusiveM" : "m";
                CompiledGrammar grammar = Compiler.JsonSchema(FormattableString.Invariant(
                    $$"""{"type":"number","{{prefix}}inimum":{{low}},"{{prefix}}aximum":{{high}}}"""));
                bool isInside = isExclusive ? low < number && number < high : low <= number && number <= high;
                return Admits(grammar, FormattableString.Invariant($"{number}")) == isInside;
            },
            iter: 300);

    [Fact]
    public void A_mask_holds_exactly_the_tokens_that_can_be_taken()
    {
        string[] words = ["{", "}", "\"", "\":", " ", "\n", "a", "ab", "name", "\"name", "\"name\":", "\"name\": \"", "1", "12", ",", ", ", "true", "x\"}", "\"}", "é", "[", "]", "[1", "1]", "-", "0.5", "\\n", "\\", "u00", "41"];
        byte[][] tokens = [.. Enumerable.Range(0, 128).Select(i => new[] { (byte)i }), .. words.Select(Encoding.UTF8.GetBytes)];
        var trie = new TokenTrie(tokens, FrozenDictionary<int, byte[]>.Empty, 200);
        string[] schemas =
        [
            """{}""",
            """{"type":"object","properties":{"name":{"type":"string","maxLength":4,"minLength":2},"n":{"type":"integer","maximum":120}},"required":["name"]}""",
            """{"type":"array","items":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"number","minimum":0.1}}]},"maxItems":3}""",
            """{"type":"string","pattern":"^(a|ab)*name?$"}""",
        ];
        Gen.Select(Gen.OneOf(schemas.Select(Gen.Const).ToArray()), Gen.Int[0, 1 << 20].Array[1, 60]).Sample(
            (schema, choices) =>
            {
                CompiledGrammar grammar = new GrammarCompiler(trie).JsonSchema(schema);
                GrammarMatcher matcher = grammar.CreateMatcher();
                var taken = new List<int>();
                var mask = new uint[trie.MaskWords];
                foreach (int choice in choices)
                {
                    bool any = matcher.FillMask(mask);
                    int[] allowed = [.. Enumerable.Range(0, 200).Where(id => (mask[id >> 5] >> (id & 31) & 1) != 0)];
                    int[] possible = [.. Enumerable.Range(0, 200).Where(id => Follow(grammar, taken).TryAccept(id))];
                    Assert.Equal(possible, allowed);
                    Assert.Equal(allowed.Length > 0, any);
                    Assert.True(any || matcher.IsComplete, string.Join("", taken.Select(id => Encoding.UTF8.GetString(tokens[id]))));

                    if (allowed.Length == 0)
                    {
                        return true;
                    }

                    taken.Add(allowed[choice % allowed.Length]);
                    Assert.True(matcher.TryAccept(taken[^1]));
                }

                return true;
            },
            iter: 60);
    }

    [Fact]
    public void A_token_that_is_not_allowed_changes_nothing()
    {
        GrammarMatcher matcher = Compiler.Choice(["yes", "no"]).CreateMatcher();
        Assert.False(matcher.TryAccept("x"u8));
        Assert.True(matcher.TryAccept("ye"u8));
        Assert.False(matcher.TryAccept("xs"u8));
        Assert.False(matcher.IsComplete);
        Assert.True(matcher.TryAccept("s"u8));
        Assert.True(matcher.IsComplete && matcher.MustEnd);
    }

    [Fact]
    public void Nesting_ends_at_the_limit_and_not_in_a_failure()
    {
        GrammarMatcher matcher = Compiler.JsonSchema("{}").CreateMatcher();
        int depth = 0;
        while (matcher.TryAccept("["u8))
        {
            depth++;
        }

        Assert.InRange(depth, 100, 1000);
        for (int i = 0; i < depth; i++)
        {
            Assert.True(matcher.TryAccept("]"u8));
        }

        Assert.True(matcher.IsComplete);
    }

    [Fact]
    public void A_control_token_is_allowed_only_where_the_grammar_names_it_and_never_as_text()
    {
        var trie = new TokenTrie([.. Enumerable.Range(0, 256).Select(i => new[] { (byte)i }), "<end>"u8.ToArray()], new Dictionary<int, byte[]> { [256] = "<end>"u8.ToArray() }, 257);
        GrammarMatcher matcher = new GrammarCompiler(trie).Regex("<.*").CreateMatcher();
        var mask = new uint[trie.MaskWords];
        Assert.True(matcher.TryAccept((int)'<'));
        Assert.True(matcher.FillMask(mask));
        Assert.Equal(0u, mask[256 >> 5] >> (256 & 31) & 1);
        Assert.False(matcher.TryAccept(256));
    }

    private static GrammarMatcher Follow(CompiledGrammar grammar, List<int> taken)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        taken.ForEach(token => matcher.TryAccept(token));
        return matcher;
    }

    private static bool Admits(CompiledGrammar grammar, string text)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        return matcher.TryAccept(Encoding.UTF8.GetBytes(text)) && matcher.IsComplete;
    }
}
