using System.Text.Json.Nodes;
using CsCheck;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>No source text makes the engine fail in any other way than it says.</summary>
public sealed class TemplateFuzzTests
{
    private static readonly string[] Pieces =
    [
        "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "{{-", "-}}", " ", "\n", "a", "x", "l", "d", "s", "n", "ns", "loop", "m", "caller",
        "if ", "else", "elif ", "endif", "for ", " in ", "endfor", "set ", "endset", "macro ", "endmacro", "call ", "endcall", "filter ",
        "endfilter", "with ", "endwith", "generation", "endgeneration", "break", "continue", "raw", "endraw", "recursive", " not ", " and ",
        " or ", " is ", "true", "none", "1", "0", "-1", "2.5", "1e300", "99999999999999999999", "'q'", "'😀'", "''", "'%s'", "'{}'", "[", "]",
        "(", ")", "{", "}", ",", ":", ".", "|", "~", "+", "-", "*", "/", "//", "%", "**", "=", "==", "<", ">=", "namespace(", "range(", "dict(",
        "cycler(", "joiner(", "strftime_now(", "items", "get", "split", "join", "format", "replace", "strip", "center", "zfill", "find",
        "count", "index", "title", "partition", "splitlines", "tojson", "map", "select", "selectattr", "sort", "unique", "groupby", "batch",
        "slice", "round", "int", "float", "sum", "min", "max", "first", "last", "length", "list", "reverse", "truncate", "indent", "urlencode",
        "default", "safe", "e", "string", "dictsort", "filesizeformat", "striptags", "wordcount", "attr", "defined", "odd", "divisibleby",
        "iterable", "sameas", "__class__", "\\", "\"", "'", "\0", "\ud800",
    ];

    private static readonly string[] Shapes =
    [
        "{{{{ {0} | {1}({2}) }}}}", "{{{{ {0}.{1}({2}) }}}}", "{{{{ {0} {3} {2} }}}}", "{{{{ {0}[{2}:{0}] }}}}", "{{{{ {0} is {4} }}}}",
        "{{% for a in {0} %}}{{{{ a | {1} }}}}{{{{ loop.{5} }}}}{{% endfor %}}", "{{% set ns.v = {0} | {1} %}}{{{{ ns.v }}}}",
        "{{{{ ({0} | {1}) {3} ({2} | {1}) }}}}", "{{{{ {0} | {1} | {6}({2}, {0}) | tojson }}}}",
    ];

    private static readonly string[] Values =
    [
        "x", "l", "d", "s", "n", "ns", "none", "true", "-3", "0", "2.5", "1e300", "99999999999999999999", "'q r'", "'😀%d'", "''", "[]", "()", "{}",
        "[1, 'a', none]", "(1, 2)", "range(5)", "d.items()", "(l | map('string'))", "('<' | safe)", "cycler(1)", "joiner()", "'{:>5}'", "{1: 2}",
    ];

    private static readonly string[] Names =
    [
        "abs", "attr", "batch", "capitalize", "center", "default", "dictsort", "escape", "filesizeformat", "first", "float", "forceescape",
        "format", "groupby", "indent", "int", "items", "join", "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr",
        "replace", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim",
        "truncate", "unique", "upper", "urlencode", "wordcount", "split", "rsplit", "zfill", "ljust", "find", "rfind", "count", "index",
        "startswith", "endswith", "partition", "rpartition", "splitlines", "removeprefix", "strip", "lstrip", "swapcase", "isdigit", "istitle",
        "get", "keys", "values", "copy", "append", "real", "imag", "is_integer", "start",
    ];

    private static readonly string[] Operators =
        ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", ">=", "in", "not in", "and", "or", "< 1 <", "if n else"];

    private static readonly string[] Tests =
        ["defined", "odd", "even", "divisibleby 2", "in l", "iterable", "sequence", "mapping", "lower", "sameas x", "eq 1", "lt 2", "filter", "escaped"];

    private static readonly string[] LoopNames = ["index", "last", "length", "nextitem", "previtem", "revindex", "cycle(1, 2)", "changed(a)"];

    private static readonly TemplateLimits Limits = new() { MaxSteps = 20_000, MaxOutputLength = 100_000 };

    [Fact]
    public void Random_pieces_of_templates_render_or_are_refused() =>
        Pick(Pieces).List[0, 40].Select(string.Concat).Sample(RendersOrIsRefused, iter: 3_000);

    [Fact]
    public void Random_well_formed_templates_render_or_are_refused() =>
        Gen.Select(Pick(Shapes), Pick(Values), Pick(Names), Pick(Values), Pick(Operators),
                Pick(Tests), Gen.Select(Pick(LoopNames), Pick(Names)))
            .Select(t => string.Format(null, t.Item1, t.Item2, t.Item3, t.Item4, t.Item5, t.Item6, t.Item7.Item1, t.Item7.Item2))
            .Sample(RendersOrIsRefused, iter: 3_000);

    private static Gen<string> Pick(string[] from) => Gen.Int[0, from.Length - 1].Select(index => from[index]);

    private static bool RendersOrIsRefused(string source)
    {
        var variables = new JsonObject
        {
            ["l"] = new JsonArray(1, "b", null, 2.5),
            ["d"] = new JsonObject { ["a"] = 1, ["items"] = new JsonArray() },
            ["s"] = "text <b> 😀\n",
            ["n"] = 7,
        };
        try
        {
            ChatTemplate.Parse("{% set ns = namespace() %}" + source, Limits).Render(variables);
            return true;
        }
        catch (Exception exception) when (exception is TemplateException or UnsupportedFeatureException)
        {
            return true;
        }
    }
}
