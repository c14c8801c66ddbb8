using System.Globalization;
using System.Text.Json;
using ModelServe.Api.Requests;
using ModelServe.V1;

namespace ModelServe.Api.OpenAi;

/// <summary>The fields that both kinds of generation have, as options of modelserve.v1, whose reader checks ranges.</summary>
internal static class GenerationFields
{
    /// <summary>Reads them all; errors stay with the fields.</summary>
    public static GenerationOptions Read(JsonFields fields, RequestLimits limits)
    {
        var options = new GenerationOptions { Sampling = ReadSampling(fields, limits), Stop = ReadStops(fields, limits) };
        if (fields.Flag("skip_special_tokens") is { } skip)
        {
            options.SkipSpecialTokens = skip;
        }

        // Lower runs first here, as in vLLM's dialect; modelserve.v1 has it the other way round.
        if (fields.Integer("priority", -1000, 1000) is { } priority)
        {
            options.Priority = -priority;
        }

        switch (fields.Text("service_tier"))
        {
            case null or "auto" or "default":
                break;
            case "flex":
                options.Tier = Tier.Flex;
                break;
            case "priority":
                options.Tier = Tier.Priority;
                break;
            case { } other:
                fields.RefuseUnsupported("service_tier", "'auto', 'default', 'flex' or 'priority'", FieldCheck.Quote(other));
                break;
        }

        if (fields.Text("cache_salt", limits.NameCharacters) is { } salt)
        {
            options.CacheSalt = salt;
        }

        options.Form = FormFields.Read(fields);
        ReadHarmless(fields, limits);
        return options;
    }

    /// <summary>Which outputs, how they are sent.</summary>
    public static OutputShape ReadShape(JsonFields fields, RequestLimits limits, GenerationOptions generation)
    {
        bool stream = fields.Flag("stream") ?? false;
        JsonFields? options = fields.Object("stream_options");
        bool usage = options?.Flag("include_usage") ?? false;
        bool continuous = options?.Flag("continuous_usage_stats") ?? false;
        options?.Flag("include_obfuscation");
        fields.Close(options);
        if (options is not null && !stream)
        {
            fields.Refuse("stream_options", "absent unless stream is true", "present");
        }

        return new OutputShape(stream, usage, continuous, fields.Integer("n", 1, limits.Choices) ?? 1)
        {
            PromptLogprobs = generation.Sampling.HasPromptLogprobs ? generation.Sampling.PromptLogprobs : null,
        };
    }

    private static SamplingParameters ReadSampling(JsonFields fields, RequestLimits limits)
    {
        var sampling = new SamplingParameters();
        Set(fields.Number("temperature"), value => sampling.Temperature = value);
        Set(fields.Number("top_p"), value => sampling.TopP = value);
        Set(fields.Number("min_p"), value => sampling.MinP = value);
        Set(fields.Number("repetition_penalty"), value => sampling.RepetitionPenalty = value);
        Set(fields.Number("presence_penalty"), value => sampling.PresencePenalty = value);
        Set(fields.Number("frequency_penalty"), value => sampling.FrequencyPenalty = value);
        // -1 is vLLM's way to say all.
        Set(fields.Integer("top_k", -1, int.MaxValue), value => sampling.TopK = Math.Max(value, 0));
        Set(fields.Integer("prompt_logprobs", 0, limits.TopLogprobs), value => sampling.PromptLogprobs = value);
        Set(fields.Long("seed"), value => sampling.Seed = unchecked((ulong)value));
        if (fields.Of("logit_bias", JsonValueKind.Object, "an object of token ids and numbers") is { } bias)
        {
            ReadBias(fields, bias, limits, sampling);
        }

        return sampling;
    }

    private static void ReadBias(JsonFields fields, JsonElement bias, RequestLimits limits, SamplingParameters sampling)
    {
        const string Name = "logit_bias";
        fields.Refuse(FieldCheck.Count(Name, bias.GetPropertyCount(), limits.LogitBiasEntries));
        if (fields.Error is not null)
        {
            return;
        }

        foreach (JsonProperty entry in bias.EnumerateObject())
        {
            if (!uint.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out uint id))
            {
                fields.Refuse(Name, "token ids as names", FieldCheck.Quote(entry.Name));
                return;
            }

            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetDouble(out double value))
            {
                fields.Refuse(Name, "numbers in [-100, 100]", JsonFields.Show(entry.Value));
                return;
            }

            sampling.LogitBias[id] = (float)value;
        }
    }

    private static StopConditions ReadStops(JsonFields fields, RequestLimits limits)
    {
        var stop = new StopConditions();
        int? most = fields.Integer("max_tokens", 0, int.MaxValue);
        int? mostCompletion = fields.Integer("max_completion_tokens", 1, int.MaxValue);
        if (most is not null && mostCompletion is not null && most != mostCompletion)
        {
            fields.Refuse("max_completion_tokens", "the same as max_tokens where both are set", FieldCheck.Text(mostCompletion.Value));
        }

        Set(mostCompletion ?? most, value => stop.MaxTokens = value);
        Set(fields.Integer("min_tokens", 0, int.MaxValue), value => stop.MinTokens = value);
        stop.IgnoreEos = fields.Flag("ignore_eos") ?? false;
        stop.IncludeStopInOutput = fields.Flag("include_stop_str_in_output") ?? false;
        if (fields.TryGet("stop", out JsonElement strings))
        {
            ReadStrings(fields, strings, limits, stop);
        }

        foreach (int id in ReadIds(fields, "stop_token_ids", limits.StopTokenIds))
        {
            stop.TokenIds.Add((uint)id);
        }

        return stop;
    }

    private static void ReadStrings(JsonFields fields, JsonElement value, RequestLimits limits, StopConditions stop)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            stop.Strings.Add(value.GetString());
            return;
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            fields.Refuse("stop", "a string or a list of strings", JsonFields.Show(value));
            return;
        }

        fields.Refuse(FieldCheck.Count("stop", value.GetArrayLength(), limits.StopStrings));
        foreach (JsonElement entry in value.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.String)
            {
                fields.Refuse("stop", "a string or a list of strings", JsonFields.Show(entry));
                return;
            }

            stop.Strings.Add(entry.GetString());
        }
    }

    /// <summary>A list of token ids that are not negative.</summary>
    public static int[] ReadIds(JsonFields fields, string name, int limit)
    {
        if (fields.Of(name, JsonValueKind.Array, "a list of token ids") is not { } list)
        {
            return [];
        }

        fields.Refuse(FieldCheck.Count(fields.PathOf(name), list.GetArrayLength(), limit));
        return fields.Error is null ? ReadIds(fields, name, list) : [];
    }

    /// <summary>The ids of a list.</summary>
    public static int[] ReadIds(JsonFields fields, string name, JsonElement list)
    {
        var ids = new int[list.GetArrayLength()];
        int next = 0;
        foreach (JsonElement entry in list.EnumerateArray())
        {
            if (entry.ValueKind != JsonValueKind.Number || !entry.TryGetInt32(out ids[next]) || ids[next] < 0)
            {
                fields.Refuse(name, "token ids of the vocabulary", JsonFields.Show(entry));
                return [];
            }

            next++;
        }

        return ids;
    }

    /// <summary>What clients send for the service's books, and what has one acceptable value here.</summary>
    private static void ReadHarmless(JsonFields fields, RequestLimits limits)
    {
        fields.Text("user", 512);
        fields.Text("safety_identifier", 512);
        fields.Text("prompt_cache_key", 512);
        if (fields.Of("metadata", JsonValueKind.Object, "an object of strings") is { } metadata)
        {
            fields.Refuse(FieldCheck.Count("metadata", metadata.GetPropertyCount(), limits.MetadataEntries));
            if (metadata.EnumerateObject().Any(entry => entry.Value.ValueKind != JsonValueKind.String))
            {
                fields.Refuse("metadata", "an object of strings", "another value");
            }
        }

        if (fields.Flag("store") == true)
        {
            fields.RefuseUnsupported("store", "false: this server keeps no answers", "true");
        }
    }

    private static void Set<T>(T? value, Action<T> assign)
        where T : struct
    {
        if (value is { } given)
        {
            assign(given);
        }
    }
}
