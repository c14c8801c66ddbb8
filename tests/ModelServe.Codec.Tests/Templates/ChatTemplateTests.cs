using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>What a template sees of a request, and how it is refused.</summary>
public sealed class ChatTemplateTests
{
    private static readonly TemplateTokens Tokens = new("<s>", "</s>");

    [Fact]
    public void A_ChatML_template_renders_a_conversation()
    {
        ChatTemplate template = ChatTemplate.Parse(
            "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
            + "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
        string text = template.Render([new("system", "S"), new("user", "Hi")], new ChatRenderOptions(), Tokens);
        Assert.Equal("<s><|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", text);
    }

    [Fact]
    public void Further_fields_follow_role_and_content_in_their_order()
    {
        var message = new ChatMessage("tool", "42") { Extra = new JsonObject { ["tool_call_id"] = "c1", ["name"] = "f" } };
        Assert.Equal(
            """{"role": "tool", "content": "42", "tool_call_id": "c1", "name": "f"}""",
            ChatTemplate.Parse("{{ messages[0] | tojson }}").Render([message], new ChatRenderOptions(), Tokens));
    }

    [Fact]
    public void Content_parts_take_the_place_of_the_text()
    {
        var parts = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = "a" });
        var message = new ChatMessage("user", null) { Extra = new JsonObject { ["content"] = parts } };
        Assert.Equal("user a", ChatTemplate.Parse("{{ messages[0].role }} {{ messages[0].content[0].text }}")
            .Render([message], new ChatRenderOptions(), Tokens));
    }

    [Fact]
    public void A_message_without_content_has_none()
    {
        Assert.Equal("True", ChatTemplate.Parse("{{ messages[0].content is none }}")
            .Render([new("assistant", null)], new ChatRenderOptions(), Tokens));
    }

    [Fact]
    public void Tools_and_documents_are_none_and_missing_tokens_undefined_without_values()
    {
        Assert.Equal("True True False False", ChatTemplate.Parse(
            "{{ tools is none }} {{ documents is none }} {{ pad_token is defined }} {{ cls_token is defined }}")
            .Render([], new ChatRenderOptions(), Tokens));
    }

    [Fact]
    public void Arguments_and_further_tokens_are_variables()
    {
        var options = new ChatRenderOptions { Arguments = new JsonObject { ["enable_thinking"] = false, ["n"] = 1, ["x"] = 1.0 } };
        TemplateTokens tokens = Tokens with { Further = new Dictionary<string, string> { ["cls_token"] = "[C]" } };
        Assert.Equal("False 1 1.0 [C]", ChatTemplate.Parse("{{ enable_thinking }} {{ n }} {{ x }} {{ cls_token }}")
            .Render([], options, tokens));
    }

    [Fact]
    public void The_templates_own_message_is_the_exceptions_message()
    {
        ChatTemplate template = ChatTemplate.Parse("{{ raise_exception('System role not supported') }}");
        var exception = Assert.Throws<TemplateException>(() => template.Render([], new ChatRenderOptions(), Tokens));
        Assert.Equal("System role not supported", exception.Message);
    }

    [Theory]
    [InlineData("a\n{% block x %}{% endblock %}", "line 2: the tag 'block' is not supported")]
    [InlineData("{% nope %}", "line 1: unknown tag 'nope'")]
    [InlineData("\n\n{{ 1 | nope }}", "line 3: no filter named 'nope'")]
    [InlineData("{{ 1 | pprint }}", "line 1: the filter 'pprint' is not supported")]
    [InlineData("{% if x %}{{ 1 | urlize }}{% endif %}", "the filter 'urlize' is not supported")]
    [InlineData("{{ 1 is nope }}", "line 1: no test named 'nope'")]
    [InlineData("{% if x %}", "line 1: the template ends where 'endif' is expected")]
    [InlineData("{{ 'a", "line 1: the string has no end")]
    [InlineData("{{ $ }}", "line 1: unexpected character '$'")]
    [InlineData("{# a", "line 1: the comment has no end")]
    [InlineData("{% set none = 1 %}", "can't assign to 'none'")]
    public void What_does_not_parse_is_refused_by_name_and_line(string source, string message)
    {
        var exception = Assert.Throws<UnsupportedFeatureException>(() => ChatTemplate.Parse(source));
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_threads_render_one_template()
    {
        ChatTemplate template = ChatTemplate.Parse(
            "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ m.content }}{% endfor %}{{ ns.n }}");
        string[] texts = await Task.WhenAll(Enumerable.Range(0, 64).Select(i => Task.Run(
            () => template.Render([new("user", $"{i}-"), new("user", "b")], new ChatRenderOptions(), Tokens),
            TestContext.Current.CancellationToken)));
        Assert.Equal([.. Enumerable.Range(0, 64).Select(i => $"{i}-b2")], texts);
    }
}
