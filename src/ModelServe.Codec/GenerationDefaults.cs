using System.Text.Json;
using ModelServe.Codec.Loading;

namespace ModelServe.Codec;

/// <summary>What generation_config.json recommends; a null field means that the file is silent on it.</summary>
public sealed record GenerationDefaults
{
    /// <summary>False asks for greedy decoding whatever the other fields say.</summary>
    public bool? DoSample { get; init; }

    /// <summary>Softmax temperature, ≥ 0.</summary>
    public float? Temperature { get; init; }

    /// <summary>Nucleus mass in (0, 1].</summary>
    public float? TopP { get; init; }

    /// <summary>Number of candidates; 0 means all.</summary>
    public int? TopK { get; init; }

    /// <summary>Least probability relative to the best candidate, in [0, 1].</summary>
    public float? MinP { get; init; }

    /// <summary>Multiplicative penalty on repeated tokens, &gt; 0; 1 means none.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Longest answer in tokens, ≥ 1.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>End-of-sequence ids of generation_config.json alone; <see cref="TextModel.StopTokenIds"/> is the merged list.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Reads generation_config.json of a checkpoint; all fields null where the file is absent.</summary>
    /// <exception cref="InvalidTextModelException">A field has the wrong type or is out of range; the message names both.</exception>
    public static GenerationDefaults Load(string directory)
    {
        using JsonDocument? document = JsonPart.ReadOptional(directory, "generation_config.json");
        if (document is null)
        {
            return new GenerationDefaults();
        }
        var file = new JsonPart(document.RootElement, "generation_config.json", "");
        return new GenerationDefaults
        {
            DoSample = file.Child("do_sample").IsNull ? null : file.Flag("do_sample", absent: false),
            Temperature = Within(file.Child("temperature"), 0, float.MaxValue, "at least 0"),
            TopP = Within(file.Child("top_p"), float.Epsilon, 1, "in (0, 1]"),
            TopK = Whole(file.Child("top_k"), least: 0),
            MinP = Within(file.Child("min_p"), 0, 1, "in [0, 1]"),
            RepetitionPenalty = Within(file.Child("repetition_penalty"), float.Epsilon, float.MaxValue, "greater than 0"),
            MaxNewTokens = Whole(file.Child("max_new_tokens"), least: 1),
            EosTokenIds = EosIds(file),
        };
    }

    /// <summary>The ids of <c>eos_token_id</c>: one number, a list of them, or none.</summary>
    internal static int[] EosIds(JsonPart file)
    {
        JsonPart part = file.Child("eos_token_id");
        if (part.IsNull)
        {
            return [];
        }
        return part.IsArray ? [.. part.Items().Select(Id)] : [Id(part)];
    }

    private static int Id(JsonPart part)
    {
        int id = part.Integer();
        return id >= 0 ? id : throw part.Wrong($"the token id {id} is negative");
    }

    private static float? Within(JsonPart part, float least, float most, string range)
    {
        if (part.IsNull)
        {
            return null;
        }
        float value = (float)part.Number();
        return value >= least && value <= most ? value : throw part.Wrong($"{part.Element.GetRawText()} is not {range}");
    }

    private static int? Whole(JsonPart part, int least)
    {
        if (part.IsNull)
        {
            return null;
        }
        int value = part.Integer();
        return value >= least ? value : throw part.Wrong($"{value} is less than {least}");
    }
}
