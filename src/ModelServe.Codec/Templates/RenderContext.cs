using System.Text.Json.Nodes;
using ModelServe.Codec.Chat;

namespace ModelServe.Codec.Templates;

/// <summary>Makes the variables of a render from the request, under the names that transformers uses.</summary>
internal static class RenderContext
{
    /// <summary>The variables; later ones win: special tokens, then the request, then its named arguments.</summary>
    public static TemplateDict Create(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options, TemplateTokens tokens)
    {
        var context = new TemplateDict(16);
        AddToken(context, "bos_token", tokens.Bos);
        AddToken(context, "eos_token", tokens.Eos);
        AddToken(context, "pad_token", tokens.Pad);
        AddToken(context, "unk_token", tokens.Unk);
        foreach ((string name, string token) in tokens.Further)
        {
            context.Set(name, token);
        }

        context.Set("messages", new TemplateList([.. messages.Select(Message)]));
        context.Set("tools", JsonImport.Convert(options.Tools));
        context.Set("documents", null);
        context.Set("add_generation_prompt", Boxed.Of(options.AddGenerationPrompt));
        foreach ((string name, JsonNode? value) in options.Arguments ?? [])
        {
            context.Set(name, JsonImport.Convert(value));
        }

        return context;
    }

    private static TemplateDict Message(ChatMessage message)
    {
        var entries = new TemplateDict(4 + (message.Extra?.Count ?? 0));
        entries.Set("role", message.Role);
        entries.Set("content", message.Content);
        if (message.Extra is JsonObject extra)
        {
            // A further field named content (an array of parts) takes the place of the text and keeps its position.
            foreach ((object? name, object? value) in JsonImport.Convert(extra))
            {
                entries.Set(name, value);
            }
        }

        return entries;
    }

    private static void AddToken(TemplateDict context, string name, string? token)
    {
        if (token is not null)
        {
            context.Set(name, token);
        }
    }
}
