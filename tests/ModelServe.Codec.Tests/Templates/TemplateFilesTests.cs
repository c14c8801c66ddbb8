using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Templates;
using Xunit;

namespace ModelServe.Codec.Tests.Templates;

/// <summary>Where a checkpoint's template is found.</summary>
public sealed class TemplateFilesTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("template").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_checkpoint_without_template_has_none()
    {
        Write("tokenizer_config.json", "{}");
        Assert.Null(ChatTemplate.Load(_folder));
    }

    [Fact]
    public void A_template_file_wins_over_the_configuration()
    {
        Write("tokenizer_config.json", """{"chat_template": "config"}""");
        Write("chat_template.jinja", "file");
        Assert.Equal("file", Render(tools: null));
    }

    [Fact]
    public void The_configuration_may_hold_one_template()
    {
        Write("tokenizer_config.json", """{"chat_template": "{{ 1 + 1 }}"}""");
        Assert.Equal("2", Render(tools: null));
    }

    [Fact]
    public void Named_templates_are_chosen_by_whether_there_are_tools()
    {
        Write("tokenizer_config.json",
            """{"chat_template": [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]}""");
        Assert.Equal("d", Render(tools: null));
        Assert.Equal("t", Render(tools: []));
    }

    [Theory]
    [InlineData("{\"chat_template\": 5}", "chat_template is a Number")]
    [InlineData("{\"chat_template\": [5]}", "no name and template")]
    [InlineData("{\"chat_template\": [{\"name\": \"rag\", \"template\": \"t\"}]}", "no template 'default'")]
    [InlineData("{", "not JSON")]
    [InlineData("[]", "expected a JSON object")]
    public void A_configuration_of_another_shape_is_refused(string json, string message)
    {
        Write("tokenizer_config.json", json);
        var exception = Assert.Throws<InvalidTextModelException>(() => ChatTemplate.Load(_folder));
        Assert.Contains(message, exception.Message, StringComparison.Ordinal);
    }

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);

    private string Render(JsonArray? tools) =>
        ChatTemplate.Load(_folder)!.Render([], new ChatRenderOptions { Tools = tools }, TemplateTokens.None);
}
