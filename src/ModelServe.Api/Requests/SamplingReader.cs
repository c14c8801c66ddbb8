using System.Security.Cryptography;
using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Requests;

/// <summary>Sampling parameters of a message, over the model's defaults, with every value checked.</summary>
internal sealed class SamplingReader(RequestLimits limits)
{
    private const float HighestTemperature = 100f;
    private const float HighestPenalty = 2f;
    private const float HighestBias = 100f;

    /// <summary>Reads the parameters; minimum tokens and stop ids are the caller's to add.</summary>
    public Rejection? Read(SamplingParameters? given, ServedModel model, out SamplingOptions options)
    {
        SamplingParameters fields = given ?? new SamplingParameters();
        SamplingOptions defaults = Defaults(model);
        options = new SamplingOptions
        {
            Temperature = fields.HasTemperature ? fields.Temperature : defaults.Temperature,
            TopK = fields.HasTopK ? fields.TopK : defaults.TopK,
            TopP = fields.HasTopP ? fields.TopP : defaults.TopP,
            MinP = fields.HasMinP ? fields.MinP : defaults.MinP,
            RepetitionPenalty = fields.HasRepetitionPenalty ? fields.RepetitionPenalty : defaults.RepetitionPenalty,
            PresencePenalty = fields.PresencePenalty,
            FrequencyPenalty = fields.FrequencyPenalty,
            TopLogprobs = WantsLogprobs(fields) ? fields.TopLogprobs : null,
            PromptLogprobs = fields.HasPromptLogprobs ? fields.PromptLogprobs : null,
        };
        LogitBias[] bias = [];
        if ((Check(options, fields) ?? ReadBias(fields, model, out bias)) is { } rejection)
        {
            return rejection;
        }

        options = options with
        {
            LogitBias = bias,
            Seed = fields.HasSeed ? fields.Seed : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
        };
        return null;
    }

    /// <summary>What a request that sets nothing gets, but for the seed.</summary>
    public static SamplingOptions Defaults(ServedModel model)
    {
        GenerationDefaults defaults = model.Text.Defaults;
        return new SamplingOptions
        {
            Temperature = DefaultTemperature(defaults),
            TopK = defaults.TopK ?? 0,
            TopP = defaults.TopP ?? 1f,
            MinP = defaults.MinP ?? 0f,
            RepetitionPenalty = defaults.RepetitionPenalty ?? 1f,
        };
    }

    /// <summary>The same values as a message, every one set.</summary>
    public static SamplingParameters Echo(SamplingOptions options)
    {
        var echo = new SamplingParameters
        {
            Temperature = options.Temperature,
            TopK = options.TopK,
            TopP = options.TopP,
            MinP = options.MinP,
            Seed = options.Seed,
            RepetitionPenalty = options.RepetitionPenalty,
            PresencePenalty = options.PresencePenalty,
            FrequencyPenalty = options.FrequencyPenalty,
            Logprobs = options.TopLogprobs is not null,
            TopLogprobs = options.TopLogprobs ?? 0,
        };
        if (options.PromptLogprobs is { } wanted)
        {
            echo.PromptLogprobs = wanted;
        }

        foreach (LogitBias entry in options.LogitBias)
        {
            echo.LogitBias[(uint)entry.TokenId] = entry.Bias;
        }

        return echo;
    }

    /// <summary>A checkpoint that asks for no sampling decodes greedily, as does one whose files are silent on it and on temperature.</summary>
    private static float DefaultTemperature(GenerationDefaults defaults) => defaults.DoSample switch
    {
        false => 0f,
        true => defaults.Temperature ?? 1f,
        null => defaults.Temperature ?? 0f,
    };

    private static bool WantsLogprobs(SamplingParameters fields) =>
        fields.HasLogprobs ? fields.Logprobs : fields.HasTopLogprobs;

    private Rejection? Check(SamplingOptions options, SamplingParameters fields)
    {
        const string Prefix = "options.sampling.";
        Rejection? rejection =
            FieldCheck.Range(Prefix + "temperature", options.Temperature, 0f, HighestTemperature)
            ?? FieldCheck.Range(Prefix + "top_k", options.TopK, 0, int.MaxValue)
            ?? FieldCheck.HalfOpen(Prefix + "top_p", options.TopP, 0f, 1f)
            ?? FieldCheck.Range(Prefix + "min_p", options.MinP, 0f, 1f)
            ?? FieldCheck.HalfOpen(Prefix + "repetition_penalty", options.RepetitionPenalty, 0f, HighestPenalty)
            ?? FieldCheck.Range(Prefix + "presence_penalty", options.PresencePenalty, -HighestPenalty, HighestPenalty)
            ?? FieldCheck.Range(Prefix + "frequency_penalty", options.FrequencyPenalty, -HighestPenalty, HighestPenalty)
            ?? FieldCheck.Range(Prefix + "top_logprobs", fields.TopLogprobs, 0, limits.TopLogprobs)
            ?? FieldCheck.Range(Prefix + "prompt_logprobs", fields.PromptLogprobs, 0, limits.TopLogprobs);
        return rejection is null && fields.HasLogprobs && !fields.Logprobs && fields.HasTopLogprobs
            ? FieldCheck.Invalid(Prefix + "top_logprobs", "absent when logprobs is false", FieldCheck.Text(fields.TopLogprobs))
            : rejection;
    }

    private Rejection? ReadBias(SamplingParameters fields, ServedModel model, out LogitBias[] bias)
    {
        const string Field = "options.sampling.logit_bias";
        bias = [];
        if (FieldCheck.Count(Field, fields.LogitBias.Count, limits.LogitBiasEntries) is { } tooMany)
        {
            return tooMany;
        }

        bias = new LogitBias[fields.LogitBias.Count];
        int next = 0;
        foreach ((uint id, float value) in fields.LogitBias)
        {
            if ((FieldCheck.TokenId(Field, id, model.VocabularySize)
                ?? FieldCheck.Range(Field, value, -HighestBias, HighestBias)) is { } rejection)
            {
                return rejection;
            }

            bias[next++] = new LogitBias((int)id, value);
        }

        return null;
    }
}
