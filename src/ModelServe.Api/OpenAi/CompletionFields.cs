using System.Text.Json;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.OpenAi;

/// <summary>The body of a text completion → requests, one a prompt, that passed every check, or why not. Thread-safe.</summary>
internal sealed class CompletionFields(ModelCatalog catalog, RequestReader reader, RequestLimits limits)
{
    /// <summary>Reads prompts to continue.</summary>
    /// <param name="body">The body.</param>
    /// <param name="caller">What tells one caller from another; null for none.</param>
    /// <param name="reads">The requests, when the answer is null.</param>
    /// <param name="echoes">What each output begins with; null where it begins with what the model writes.</param>
    /// <param name="shape">Which outputs, how they are sent.</param>
    public Rejection? Read(JsonElement body, string? caller, out ReadRequest[] reads, out string[]? echoes, out OutputShape shape)
    {
        reads = [];
        echoes = null;
        var fields = new JsonFields(body);
        string? name = fields.Text("model");
        GenerationOptions options = GenerationFields.Read(fields, limits);
        shape = GenerationFields.ReadShape(fields, limits, options);
        bool addSpecial = fields.Flag("add_special_tokens") ?? true;
        bool echo = fields.Flag("echo") ?? false;
        ReadLogprobs(fields, options.Sampling, echo);
        RefuseOthers(fields, shape);
        fields.TryGet("prompt", out JsonElement prompt);
        fields.Finish();
        if (fields.Error is { } wrong)
        {
            return wrong;
        }

        if (!catalog.TryFind(name, out ServedModel? model, out Rejection? noModel))
        {
            return noModel;
        }

        List<int[]> prompts = ReadPrompts(fields, prompt, model, addSpecial);
        if (fields.Error is { } badPrompt)
        {
            return badPrompt;
        }

        string asking = options.Sampling.PromptLogprobs == shape.PromptLogprobs ? "prompt_logprobs" : "logprobs";
        if (reader.CheckPromptLogprobs(asking, options.Sampling, prompts.Sum(ids => ids.Length)) is { } tooMany)
        {
            return tooMany;
        }

        reads = new ReadRequest[prompts.Count];
        for (int i = 0; i < reads.Length; i++)
        {
            if (reader.Resolve(options, prompts[i], caller, model, out ReadRequest? read, mayBeEmpty: echo) is { } rejection)
            {
                return rejection;
            }

            reads[i] = read!;
        }

        echoes = echo ? [.. prompts.Select(ids => model.Text.Tokenizer.DecodeIds(ids, skipSpecialTokens: true))] : null;
        return prompts.Count * shape.Choices <= limits.Prompts
            ? null
            : FieldCheck.Invalid("n", $"at most {FieldCheck.Text(limits.Prompts)} outputs together", FieldCheck.Text(prompts.Count * shape.Choices));
    }

    private List<int[]> ReadPrompts(JsonFields fields, JsonElement prompt, ServedModel model, bool addSpecial)
    {
        List<int[]> prompts = [];
        switch (prompt.ValueKind)
        {
            case JsonValueKind.String:
                AddText(fields, prompt, model, addSpecial, prompts);
                break;
            case JsonValueKind.Array when prompt.GetArrayLength() > 0 && prompt[0].ValueKind == JsonValueKind.Number:
                AddIds(fields, prompt, model, prompts);
                break;
            case JsonValueKind.Array when prompt.GetArrayLength() > 0:
                fields.Refuse(FieldCheck.Count("prompt", prompt.GetArrayLength(), limits.Prompts));
                foreach (JsonElement entry in prompt.EnumerateArray())
                {
                    if (fields.Error is not null)
                    {
                        break;
                    }

                    AddOne(fields, entry, model, addSpecial, prompts);
                }

                break;
            default:
                fields.Refuse(new Rejection(
                    RejectionReason.EmptyPrompt, "prompt", "a string, a list of strings, of token ids, or of lists of token ids", JsonFields.Show(prompt)));
                break;
        }

        return prompts;
    }

    private void AddOne(JsonFields fields, JsonElement entry, ServedModel model, bool addSpecial, List<int[]> prompts)
    {
        if (entry.ValueKind == JsonValueKind.String)
        {
            AddText(fields, entry, model, addSpecial, prompts);
        }
        else if (entry.ValueKind == JsonValueKind.Array)
        {
            AddIds(fields, entry, model, prompts);
        }
        else
        {
            fields.Refuse("prompt", "strings or lists of token ids", JsonFields.Show(entry));
        }
    }

    private void AddText(JsonFields fields, JsonElement text, ServedModel model, bool addSpecial, List<int[]> prompts)
    {
        string given = text.GetString()!;
        if (addSpecial || given.Length == 0 || given.Length > limits.PromptCharacters)
        {
            fields.Refuse(reader.ReadText(given, model, out int[] ids));
            prompts.Add(ids);
        }
        else
        {
            prompts.Add(model.Text.Tokenizer.EncodeIds(given, addSpecialTokens: false, parseSpecialTokens: false));
        }
    }

    private static void AddIds(JsonFields fields, JsonElement list, ServedModel model, List<int[]> prompts)
    {
        int[] ids = GenerationFields.ReadIds(fields, "prompt", list);
        foreach (int id in ids)
        {
            fields.Refuse(FieldCheck.TokenId("prompt", (uint)id, model.VocabularySize));
        }

        prompts.Add(ids);
    }

    private void ReadLogprobs(JsonFields fields, SamplingParameters sampling, bool echo)
    {
        if (fields.Integer("logprobs", 0, limits.TopLogprobs) is not { } top)
        {
            return;
        }

        sampling.Logprobs = true;
        sampling.TopLogprobs = top;
        if (echo)
        {
            // What is echoed has log probabilities as what is generated has; a list of its own may want more of them.
            sampling.PromptLogprobs = Math.Max(top, sampling.PromptLogprobs);
        }
    }

    private static void RefuseOthers(JsonFields fields, OutputShape shape)
    {
        if (fields.Integer("best_of", 1, int.MaxValue) is { } best && best != shape.Choices)
        {
            fields.RefuseUnsupported("best_of", "as many as n: nothing is generated and thrown away", FieldCheck.Text(best));
        }

        if (fields.Text("suffix") is { } suffix)
        {
            fields.RefuseUnsupported("suffix", "absent: this server does not insert text", FieldCheck.Quote(suffix));
        }
    }
}
