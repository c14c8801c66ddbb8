using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using ModelServe.Codec.Splitting;
using Xunit;

namespace ModelServe.Codec.Tests.Tokenizing;

/// <summary>The automaton finds what .NET's backtracking matcher finds.</summary>
public sealed class PatternAutomatonTests
{
    private const string Letters = "aAbBzZéßСжIſ'’stSTrevmlLdD0159Ⅷ² \t\n\r\u00A0\u3000.,;!?-_=/\\\"()[]{}中文かな한ا\u0301\u200D\uFFFD\u0000~#$";

    public static TheoryData<string> Patterns =>
    [
        Gpt2Scanner.Pattern, Cl100kScanner.ThreeDigitPattern, O200kScanner.O200kPattern, O200kScanner.TekkenPattern,
        @"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        @"a+?b|a*c|[ab]{2,4}x|\d+", @"(?:ab|a)(?:bc|c)?|b", @"\s+$|\S+(?=\s)|.", @"[A-Z]++[a-z]?+|[a-z]*+[^a-z]", @"(?:a|ab)(?:c|bcd)(?:d*)",
        @"\w+|[^\w\s]+", "\\p{L}{2,}|\\p{L}(?!\\p{N})|.",
    ];

    [Theory]
    [MemberData(nameof(Patterns))]
    public void Matches_are_those_of_the_regular_expression(string pattern)
    {
        Regex regex = RegexTranslator.Compile(pattern, "pattern");
        PatternAutomaton automaton = PatternAutomaton.TryBuild(regex.ToString())!;
        Assert.NotNull(automaton);
        Gen<string> some = Gen.OneOf(Gen.Char[Letters], Gen.Char["abAB1 \n'c"], Gen.Char).Array[0, 24]
            .Select(chars => new string(chars.Select(one => char.IsSurrogate(one) ? 'x' : one).ToArray()));
        some.Sample(text => Found(automaton, text) == string.Join(' ', regex.Matches(text).Select(match => $"{match.Index}-{match.Index + match.Length}")), iter: 5000);
    }

    [Theory]
    [InlineData(@"(?<=a)b")]
    [InlineData(@"(?>ab|a)c")]
    [InlineData(@"a(?!bc)")]
    [InlineData(@"(?:a?)+b")]
    public void What_needs_more_than_a_table_is_left_to_the_regular_expression(string pattern) =>
        Assert.Null(PatternAutomaton.TryBuild(RegexTranslator.Translate(pattern, "pattern")));

    [Fact]
    public void A_text_that_is_looked_through_in_vain_goes_to_the_regular_expression()
    {
        Regex regex = RegexTranslator.Compile("a+b", "pattern");
        var stage = new RegexStage(regex, PatternAutomaton.TryBuild(regex.ToString()), SplitBehavior.Isolated, invert: false);
        var pieces = new PieceList();
        string text = new string('a', 3000) + "c" + "aab";
        pieces.Start(text, 0, text.Length, isFirst: true);
        stage.Apply(pieces);
        Assert.Equal([3001, 3], pieces.Pieces.Select(piece => piece.Length));
    }

    private static string Found(PatternAutomaton automaton, string text)
    {
        var found = new StringBuilder();
        for (int index = 0; index < text.Length;)
        {
            int end = automaton.Match(text, index, out _);
            if (end >= 0)
            {
                found.Append(found.Length > 0 ? " " : "").Append(index).Append('-').Append(end);
            }
            index = end >= 0 ? end : index + 1;
        }
        return found.ToString();
    }
}
