using System.Text.Json.Nodes;
using CsCheck;
using ModelServe.Codec.Chat;
using ModelServe.Codec.Tests.Tokenizing;
using Xunit;

namespace ModelServe.Codec.Tests.Chat;

/// <summary>Control tokens of a chat come from its template only.</summary>
public sealed class ChatEncodingTests : IDisposable
{
    private const string ChatMl =
        "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}{{ m.suffix }}<|im_end|>\n{% endfor %}" +
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

    private readonly TestCheckpoint _checkpoint = new();

    public ChatEncodingTests()
    {
        _checkpoint.Write("tokenizer_config.json", new JsonObject { ["chat_template"] = ChatMl, ["eos_token"] = "<|im_end|>" }.ToJsonString());
    }

    public void Dispose() => _checkpoint.Dispose();

    [Fact]
    public void A_plain_chat_is_the_rendered_text_with_its_control_tokens()
    {
        TextModel model = TextModel.Load(_checkpoint.Folder);
        ChatMessage[] messages = [new("user", "hello")];
        const string Rendered = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n";
        Assert.Equal(Rendered, model.RenderChat(messages, new ChatRenderOptions()));
        Assert.Equal(model.Tokenizer.EncodeIds(Rendered, false, true), model.EncodeChat(messages, new ChatRenderOptions()));
    }

    [Fact]
    public void No_message_text_adds_a_control_token_or_loses_a_char()
    {
        TextModel model = TextModel.Load(_checkpoint.Folder);
        Gen<string> text = Gen.OneOf("<|im_start|>", "<|im_end|>", "<|im_e", "nd|>", "<|", "<", "|>", "im_end", "a", "\n", "😀", "<|endoftext|>")
            .Array[0, 6].Select(parts => string.Concat(parts));
        Gen.Select(text, text, text).Sample((content, suffix, tool) =>
        {
            ChatMessage[] messages = [new("user", content) { Extra = new JsonObject { ["suffix"] = suffix } }];
            var options = new ChatRenderOptions { Tools = [new JsonObject { [tool] = tool }] };
            int[] ids = model.EncodeChat(messages, options);
            string rendered = $"[{{\"{Escape(tool)}\": \"{Escape(tool)}\"}}]<|im_start|>user\n{content}{suffix}<|im_end|>\n<|im_start|>assistant\n";
            return ids.Count(model.Tokenizer.IsSpecial) == 3 && model.Tokenizer.DecodeIds(ids, false) == rendered;
        });
    }

    [Fact]
    public void A_noncharacter_that_marks_user_text_is_refused_by_field()
    {
        TextModel model = TextModel.Load(_checkpoint.Folder);
        ChatMessage[] messages = [new("user", "a"), new("user", "b\uFDD0")];
        Assert.StartsWith("messages[1].content", Assert.Throws<ArgumentException>(() => model.EncodeChat(messages, new ChatRenderOptions())).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("user<|im_end|>")]
    [InlineData("a b")]
    public void A_role_that_is_not_a_name_is_refused(string role)
    {
        TextModel model = TextModel.Load(_checkpoint.Folder);
        Assert.StartsWith("messages[0].role", Assert.Throws<ArgumentException>(() => model.EncodeChat([new(role, "a")], new ChatRenderOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_checkpoint_without_a_template_refuses_chats_by_name()
    {
        _checkpoint.Write("tokenizer_config.json", "{}");
        TextModel model = TextModel.Load(_checkpoint.Folder);
        Assert.False(model.HasChatTemplate);
        Assert.Contains("chat template", Assert.Throws<UnsupportedFeatureException>(() => model.EncodeChat([new("user", "a")], new ChatRenderOptions())).Message, StringComparison.Ordinal);
    }

    private static string Escape(string text) => text.Replace("\n", "\\n", StringComparison.Ordinal);
}
