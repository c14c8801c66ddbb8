using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Codec.Chat;
using ModelServe.Engine.Admission;
using Turn = ModelServe.Codec.Chat.ChatMessage;

namespace ModelServe.Api.OpenAi;

/// <summary>Text ↔ token ids, and the list of models, over HTTP. Thread-safe.</summary>
internal sealed class TextEndpoints(ModelCatalog catalog, ChatFields chats, RequestReader reader, RequestLimits limits, TimeProvider time)
{
    private readonly long _started = time.GetUtcNow().ToUnixTimeSeconds();

    /// <summary>Ids of a prompt or of a rendered conversation.</summary>
    public Rejection? Tokenize(JsonElement body, out JsonObject answer)
    {
        answer = [];
        var fields = new JsonFields(body);
        string? name = fields.Text("model");
        string? prompt = fields.Text("prompt");
        bool addSpecial = fields.Flag("add_special_tokens") ?? true;
        bool withTexts = fields.Flag("return_token_strs") ?? false;
        Turn[] turns = [];
        ChatRenderOptions render = new();
        if (prompt is null)
        {
            fields.Refuse(chats.ReadPrompt(fields, out turns, out render, out _));
        }

        fields.Finish();
        if (fields.Error is { } wrong)
        {
            return wrong;
        }

        if (!catalog.TryFind(name, out ServedModel? model, out Rejection? rejection))
        {
            return rejection;
        }

        int[] ids;
        if (prompt is null)
        {
            rejection = ConversationReader.Encode(turns, render, model, out ids);
        }
        else
        {
            rejection = reader.ReadText(prompt, model, out ids);
            ids = addSpecial || rejection is not null
                ? ids
                : model.Text.Tokenizer.EncodeIds(prompt, addSpecialTokens: false, parseSpecialTokens: false);
        }

        answer["count"] = ids.Length;
        answer["max_model_len"] = model.ContextTokens;
        answer["tokens"] = new JsonArray([.. ids.Select(id => (JsonNode)id)]);
        answer["token_strs"] = withTexts ? new JsonArray([.. ids.Select(id => (JsonNode?)model.Text.Tokenizer.TokenText(id))]) : null;
        return rejection;
    }

    /// <summary>Text of ids.</summary>
    public Rejection? Detokenize(JsonElement body, out JsonObject answer)
    {
        answer = [];
        var fields = new JsonFields(body);
        string? name = fields.Text("model");
        int[] ids = GenerationFields.ReadIds(fields, "tokens", limits.PromptCharacters);
        if (!fields.TryGet("tokens", out _))
        {
            fields.Refuse("tokens", "a list of token ids", "none");
        }

        bool skip = fields.Flag("skip_special_tokens") ?? false;
        if (fields.Finish() is { } wrong)
        {
            return wrong;
        }

        if (!catalog.TryFind(name, out ServedModel? model, out Rejection? rejection))
        {
            return rejection;
        }

        foreach (int id in ids)
        {
            rejection ??= FieldCheck.TokenId("tokens", (uint)id, model.Text.Tokenizer.VocabularySize);
        }

        answer["prompt"] = rejection is null ? model.Text.Tokenizer.DecodeIds(ids, skip) : null;
        return rejection;
    }

    /// <summary>Refuses to embed: no served model does.</summary>
    public Rejection Embed(JsonElement body)
    {
        string? name = body.TryGetProperty("model", out JsonElement given) && given.ValueKind == JsonValueKind.String ? given.GetString() : null;
        return catalog.TryFind(name, out ServedModel? model, out Rejection? rejection)
            ? new Rejection(RejectionReason.Unsupported, "model", "one that embeds", $"'{model.Name}', which generates")
            : rejection;
    }

    /// <summary>Every served model.</summary>
    public JsonObject Models() => new()
    {
        ["object"] = "list",
        ["data"] = new JsonArray([.. catalog.Models.Select(Describe)]),
    };

    /// <summary>One model.</summary>
    public Rejection? Model(string name, out JsonObject answer)
    {
        bool found = catalog.TryFind(name, out ServedModel? model, out Rejection? rejection);
        answer = found ? Describe(model!) : [];
        return rejection;
    }

    private JsonObject Describe(ServedModel model) => new()
    {
        ["id"] = model.Name,
        ["object"] = "model",
        ["created"] = _started,
        ["owned_by"] = SoftwareVersion.Name,
        ["max_model_len"] = model.ContextTokens,
    };
}
