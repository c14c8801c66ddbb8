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

    /// <summary>Multiplicative penalty on repeated tokens, > 0; 1 means none.</summary>
    public float? RepetitionPenalty { get; init; }

    /// <summary>Longest answer in tokens.</summary>
    public int? MaxNewTokens { get; init; }

    /// <summary>End-of-sequence ids of generation_config.json alone; <see cref="TextModel.StopTokenIds"/> is the merged list.</summary>
    public IReadOnlyList<int> EosTokenIds { get; init; } = [];

    /// <summary>Reads generation_config.json of a checkpoint; all fields null where the file is absent.</summary>
    /// <exception cref="InvalidTextModelException">A field has the wrong type or is out of range.</exception>
    public static GenerationDefaults Load(string directory) => throw new InvalidTextModelException("The reader is not built yet.");
}
