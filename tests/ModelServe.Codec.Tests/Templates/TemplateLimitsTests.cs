using System.Text.Json.Nodes;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>An untrusted template ends with an error that names the limit it ran into.</summary>
public sealed class TemplateLimitsTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 5, 9, 7, 3, TimeSpan.Zero);

    [Theory]
    [InlineData("{% for i in range(999999999) %}{% endfor %}", "MAX_RANGE")]
    [InlineData("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "MaxSteps")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "MaxDepth")]
    [InlineData("{% for i in [[1]] recursive %}{{ loop([i]) }}{% endfor %}", "MaxDepth")]
    [InlineData("{{ 'a' * 999999999999 }}", "MaxOutputLength")]
    [InlineData("{% set ns = namespace(s='abcdefgh') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "MaxOutputLength")]
    [InlineData("{% set ns = namespace(l=[1, 2]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", "MaxSteps")]
    [InlineData("{{ [1, 'a', none] * 99999999999999999999 }}", "MaxSteps")]
    [InlineData("{{ (1, 2) * 4611686018427387904 }}", "MaxSteps")]
    [InlineData("{{ '%999999999d' % 1 }}", "MaxOutputLength")]
    [InlineData("{{ 'a'.center(999999999) }}{{ 'a' | indent(999999999) }}", "MaxOutputLength")]
    [InlineData("{% for i in range(100000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' }}{% endfor %}", "MaxOutputLength")]
    [InlineData("{{ 2 ** 4000 * 2 ** 4000 }}", "4096 bits")]
    [InlineData("{{ 3 ** 99999999 }}", "4096")]
    [InlineData("{{ (-2) ** 99999999999 }}", "4096")]
    [InlineData("{% set ns = namespace(x=[]) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "nests deeper")]
    [InlineData("{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | upper }}", "MaxSteps")]
    [InlineData("{% set ns = namespace(x=1) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}", "parts")]
    [InlineData("{% set ns = namespace(x=1, y=1) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x < ns.y }}", "parts")]
    [InlineData("{{ (2 ** 4000) ** 4000 }}", "4096 bits")]
    [InlineData("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "nests deeper")]
    [InlineData("{{ ([1] * 100000) | map('string') | list | length }}{{ ([1] * 999999) | sort }}", "MaxSteps")]
    public void A_template_that_uses_too_much_is_refused(string source, string limit)
    {
        ChatTemplate template = ChatTemplate.Parse(source, time: new FixedClock(Now));
        var exception = Assert.Throws<TemplateException>(() => template.Render([]));
        Assert.Contains(limit, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_render_ends_when_its_time_is_over()
    {
        var clock = new FixedClock(Now, TimeSpan.FromMilliseconds(60));
        ChatTemplate template = ChatTemplate.Parse("{% for i in range(20000) %}{% endfor %}", time: clock);
        var exception = Assert.Throws<TemplateException>(() => template.Render([]));
        Assert.Contains("MaxTime", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_time_limit_can_be_raised()
    {
        var clock = new FixedClock(Now, TimeSpan.FromMilliseconds(60));
        var limits = new TemplateLimits { MaxTime = TimeSpan.FromMinutes(1) };
        ChatTemplate template = ChatTemplate.Parse("{% for i in range(20000) %}{% endfor %}x", limits, clock);
        Assert.Equal("x", template.Render([]));
    }

    [Fact]
    public void A_loop_over_a_long_list_is_refused()
    {
        var variables = new JsonObject { ["l"] = new JsonArray([.. Enumerable.Range(0, 11).Select(i => JsonValue.Create(i))]) };
        var limits = new TemplateLimits { MaxLoopIterations = 10 };
        var exception = Assert.Throws<TemplateException>(
            () => ChatTemplate.Parse("{% for i in l %}{% endfor %}", limits).Render(variables));
        Assert.Contains("MaxLoopIterations", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{{ ((((((((((1 + ", 40)]
    [InlineData("{% if true %}", 300)]
    [InlineData("{{ - - - - - - - - - -", 40)]
    [InlineData("{{ not not not not not", 100)]
    [InlineData("{% for i in [[[[[[[[[", 100)]
    [InlineData("{{ a(a(a(a(a(", 100)]
    [InlineData("{{ 1 if 1 else 1 if 1 else 1 if 1 else ", 100)]
    public void Deeply_nested_source_is_refused_at_parse(string part, int times)
    {
        string source = part.StartsWith("{{", StringComparison.Ordinal)
            ? "{{ " + string.Concat(Enumerable.Repeat(part[2..], times)) : string.Concat(Enumerable.Repeat(part, times));
        Assert.Throws<UnsupportedFeatureException>(() => ChatTemplate.Parse(source));
    }

    [Theory]
    [InlineData(" + 1")]
    [InlineData(" and 1")]
    [InlineData("[0]")]
    [InlineData(".a")]
    [InlineData(" | abs")]
    [InlineData("()")]
    public void A_very_long_chain_is_refused_at_parse(string link)
    {
        string source = "{{ 1" + string.Concat(Enumerable.Repeat(link, 50_000)) + " }}";
        var exception = Assert.Throws<UnsupportedFeatureException>(() => ChatTemplate.Parse(source));
        Assert.Contains("400 levels", exception.Message, StringComparison.Ordinal);
    }
}
