using System.Text;
using CsCheck;
using ModelServe.Codec.Grammars;
using Xunit;

namespace ModelServe.Codec.Tests.Grammars;

/// <summary>Grammars in EBNF: what they admit, and what is refused of them.</summary>
public sealed class EbnfTests
{
    private const string Calculator = """
        # left-recursive, as such grammars are written
        root ::= expression
        expression ::= expression ("+" | "-") term
                     | term
        term ::= term [*/] factor | factor
        factor ::= number | "(" expression ")"
        number ::= [0-9]+ ("." [0-9]+)?
        """;

    private static readonly GrammarCompiler Compiler = new(ByteVocabulary.Trie);

    [Theory]
    [InlineData("root ::= \"a\" | \"b\" \"c\"", "a|bc", "b|ac|abc|")]
    [InlineData("root ::= [a-c]{2,3}", "ab|abc", "a|abcd|ad")]
    [InlineData("root ::= [a]{2} [b]{1,} [c]{,2}", "aab|aabbcc", "ab|aac|aabccc")]
    [InlineData("root ::= (\"x\" | y)* \"z\"\ny ::= \"y\"", "z|xyz|yxxz", "xy|zz")]
    [InlineData("root ::= [^a-z\\n] \"é\"? .", "Aéb|1é\n|-x|-😀", "aé|\na")]
    [InlineData("root ::= \"\\u00e9\\x41\\U0001F600\\\"\\\\\"", "éA😀\"\\", "éA")]
    [InlineData("root ::= [\\]\\-^a-]+", "]-^a", "b")]
    [InlineData("root ::= \"\" | list\nlist ::= \"[\" (item (\",\" item)*)? \"]\"\nitem ::= list | [0-9]", "[[1,[]],2]|[]", "[|[1,]|1")]
    [InlineData("# first\nroot::=a-b . # any\n\na-b ::=\n  \"q\"\n  | \"r\"", "qx|rr", "q|x|r")]
    [InlineData(Calculator, "1+2*3|(1-2)/3.5-4|((7))", "1+|(1|1..2|+1|1 + 2")]
    [InlineData("root ::= a\na ::= a | a \"x\" | \"y\" | a a", "y|yx|yxy|yyxx", "x|xy|")]
    public void A_grammar_admits_what_its_rules_say(string source, string valid, string invalid)
    {
        CompiledGrammar grammar = Compiler.Ebnf(source);
        Assert.All(valid.Split('|'), text => Assert.True(text.Length == 0 || Admits(grammar, text), text));
        Assert.All(invalid.Split('|'), text => Assert.False(text.Length > 0 && Admits(grammar, text), text));
    }

    [Theory]
    [InlineData("", "no rule 'root'")]
    [InlineData("start: \"a\"", "'name ::='")]
    [InlineData("s ::= \"a\"", "no rule 'root'")]
    [InlineData("root ::= missing", "'missing'|missing: a rule of this name is used in line 1")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "twice, in line 2")]
    [InlineData("root ::= \"a", "closing '\"', in line 1")]
    [InlineData("root ::= [a", "a class without ']'")]
    [InlineData("root ::= (\"a\"", "a group without ')'")]
    [InlineData("root ::= \"a\")", "no ')'")]
    [InlineData("root ::= *", "'*' begins nothing")]
    [InlineData("root ::= \"a\"{3,2}", "{3,2} asks for at least more than at most")]
    [InlineData("root ::= \"a\"{}", "'{' begins")]
    [InlineData("root ::= \"a\"{99999999}", "'{' begins")]
    [InlineData("root ::= [z-a]", "a range whose end comes before its start")]
    [InlineData("root ::= \"\\q\"", "an unknown escape '\\q'")]
    [InlineData("root ::= \"\\uD800\"", "4 hexadecimal digits")]
    [InlineData("root ::= root", "nothing at all would match")]
    [InlineData("root ::= a \"x\"\na ::= b \"y\" | \"z\"\nb ::= a \"w\"", "a rule may not begin with itself")]
    [InlineData("root ::= e root \"x\" | \"y\"\ne ::= \"q\"?", "a rule may not begin with itself")]
    [InlineData("root ::= ((([a-z]{1000}){1000}){1000})", "states")]
    public void What_cannot_be_followed_is_refused_with_its_place(string source, string told)
    {
        string message = Assert.Throws<InvalidGrammarException>(() => Compiler.Ebnf(source)).Message;
        Assert.Contains(told.Split('|')[^1], message, StringComparison.Ordinal);
    }

    [Fact]
    public void Large_grammars_of_strangers_neither_overflow_nor_take_long()
    {
        Assert.Throws<InvalidGrammarException>(() => Compiler.Ebnf("root ::= " + new string('(', 30_000)));
        Compiler.Ebnf("root ::= " + string.Concat(Enumerable.Repeat("a ", 30_000)) + "\na ::= [a-z]{200}");

        // A chain of rules as long as the text allows, in the order that is worst for whoever follows it by recursion.
        var chain = new StringBuilder("root ::= a0\n");
        for (int i = 0; i < 2400; i++)
        {
            chain.Append(System.Globalization.CultureInfo.InvariantCulture, $"a{i} ::= \"x\" a{i + 1} | \"z\"\n");
        }

        Assert.True(Admits(Compiler.Ebnf(chain.Append("a2400 ::= \"y\"").ToString()), "xxz"));
    }

    [Fact]
    public void A_rule_that_is_large_with_its_callees_inside_keeps_calls_instead()
    {
        string parts = string.Concat(Enumerable.Repeat("part ", 500));
        Assert.True(Admits(Compiler.Ebnf($"root ::= {parts}\npart ::= \"0123456789\" [a-z]{{200}} | \"-\""), new string('-', 500)));
    }

    [Fact]
    public void Random_sums_are_admitted_and_broken_ones_are_not() =>
        Gen.Select(Gen.Int[0, 999].Array[1, 6], Gen.Char["+-*/"].Array[6], Gen.Int[0, 5], Gen.Char["+*/)"]).Sample(
            (numbers, signs, depth, extra) =>
            {
                CompiledGrammar grammar = Compiler.Ebnf(Calculator);
                string sum = new string('(', depth) + string.Concat(numbers.Select((number, i) => i == 0 ? $"{number}" : $"{signs[i]}{number}")) + new string(')', depth);
                return Admits(grammar, sum) && !Admits(grammar, sum + extra) && (depth == 0 || !Admits(grammar, sum[..^1]));
            },
            iter: 50);

    private static bool Admits(CompiledGrammar grammar, string text)
    {
        GrammarMatcher matcher = grammar.CreateMatcher();
        return matcher.TryAccept(Encoding.UTF8.GetBytes(text)) && matcher.IsComplete;
    }
}
