using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Codec.Chat;
using ModelServe.Engine.Admission;
using ModelServe.V1;
using Turn = ModelServe.Codec.Chat.ChatMessage;

namespace ModelServe.Api.OpenAi;

/// <summary>The body of a chat completion → a request that passed every check, or why not. Thread-safe.</summary>
internal sealed class ChatFields(ModelCatalog catalog, RequestReader reader, RequestLimits limits)
{
    private readonly MessageFields _messages = new(limits);
    private readonly ToolFields _tools = new(limits);

    /// <summary>Reads a conversation to answer.</summary>
    public Rejection? Read(JsonElement body, string? caller, out ReadRequest? read, out OutputShape shape)
    {
        read = null;
        var fields = new JsonFields(body);
        string? name = fields.Text("model");
        GenerationOptions options = GenerationFields.Read(fields, limits);
        shape = GenerationFields.ReadShape(fields, limits, options);
        ReadLogprobs(fields, options.Sampling);
        RefuseOthers(fields);
        Rejection? rejection = ReadPrompt(fields, out Turn[] turns, out ChatRenderOptions render, out ToolRules rules) ?? fields.Finish();
        if (rejection is not null || !catalog.TryFind(name, out ServedModel? model, out rejection))
        {
            return rejection;
        }

        rejection = ConversationReader.Encode(turns, render, model, out int[] prompt) ?? reader.Resolve(options, prompt, caller, model, out read);
        if (rejection is not null)
        {
            return rejection;
        }

        AnswerReading? answer = AnswerReading.Of(model, rules.Callable, prompt, render.ContinueFinalMessage ? turns[^1].Content : null);
        return RequestReader.AsChat(read!, rules, options.Stop, answer, isParsed: true, out read);
    }

    /// <summary>Reads what the template needs: messages, tools, and how to render.</summary>
    public Rejection? ReadPrompt(JsonFields fields, out Turn[] turns, out ChatRenderOptions render, out ToolRules rules)
    {
        turns = _messages.Read(fields);
        JsonObject arguments = _tools.ReadTemplateArguments(fields);
        bool? generation = fields.Flag("add_generation_prompt");
        bool continues = fields.Flag("continue_final_message") ?? false;
        rules = _tools.Read(fields);
        render = new ChatRenderOptions
        {
            AddGenerationPrompt = generation ?? !continues,
            ContinueFinalMessage = continues,
            Tools = rules.Tools,
            Arguments = arguments.Count > 0 ? arguments : null,
        };
        return fields.Error ?? ConversationReader.CheckContinuation(turns, render);
    }

    private void ReadLogprobs(JsonFields fields, SamplingParameters sampling)
    {
        bool? wanted = fields.Flag("logprobs");
        int? top = fields.Integer("top_logprobs", 0, limits.TopLogprobs);
        if (wanted == true)
        {
            sampling.Logprobs = true;
            sampling.TopLogprobs = top ?? 0;
        }
        else if (top > 0)
        {
            fields.Refuse("top_logprobs", "absent unless logprobs is true", FieldCheck.Text(top.Value));
        }
    }

    private static void RefuseOthers(JsonFields fields)
    {
        foreach (string name in (string[])["audio", "prediction", "web_search_options", "functions", "function_call", "verbosity"])
        {
            if (fields.TryGet(name, out JsonElement value))
            {
                fields.RefuseUnsupported(name, "absent: this server does not offer it", JsonFields.Show(value));
            }
        }

        if (fields.TryGet("modalities", out JsonElement modalities)
            && !(modalities.ValueKind == JsonValueKind.Array && modalities.EnumerateArray().All(entry =>
                entry.ValueKind == JsonValueKind.String && entry.ValueEquals("text"))))
        {
            fields.RefuseUnsupported("modalities", "['text']", JsonFields.Show(modalities));
        }
    }
}
