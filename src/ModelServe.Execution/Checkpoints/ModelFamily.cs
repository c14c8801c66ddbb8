namespace ModelServe.Execution.Checkpoints;

/// <summary>What distinguishes the supported architectures from each other; everything else is read from the config.</summary>
internal sealed record ModelFamily(string Architecture)
{
    private static readonly ModelFamily[] All =
    [
        new("LlamaForCausalLM") { ReadsAttentionBias = true, ReadsMlpBias = true },
        new("MistralForCausalLM") { DefaultKeyValueHeads = 8, HasPlainWindow = true },
        new("Qwen2ForCausalLM") { DefaultKeyValueHeads = 32, AlwaysQkvBias = true },
        new("Qwen3ForCausalLM") { DefaultKeyValueHeads = 32, DefaultHeadDim = 128, ReadsAttentionBias = true, QkNorm = true },
    ];

    /// <summary>Key-value heads where the config names none; null for as many as query heads.</summary>
    public int? DefaultKeyValueHeads { get; private init; }

    /// <summary>Head size where the config names none; null for hidden size / heads.</summary>
    public int? DefaultHeadDim { get; private init; }

    /// <summary>Whether query, key and value always have a bias, and nothing else has.</summary>
    public bool AlwaysQkvBias { get; private init; }

    /// <summary>Whether attention_bias is obeyed.</summary>
    public bool ReadsAttentionBias { get; private init; }

    /// <summary>Whether mlp_bias is obeyed.</summary>
    public bool ReadsMlpBias { get; private init; }

    /// <summary>Whether queries and keys are normalised.</summary>
    public bool QkNorm { get; private init; }

    /// <summary>Whether sliding_window alone turns the window on, in every layer.</summary>
    public bool HasPlainWindow { get; private init; }

    /// <summary>The family that a config names.</summary>
    /// <exception cref="CheckpointException">It names none, or one that is not implemented.</exception>
    public static ModelFamily Find(ConfigFields fields)
    {
        var names = fields.Texts("architectures");
        return All.FirstOrDefault(family => names.Contains(family.Architecture))
            ?? throw fields.Refuse(
                "architectures",
                $"one of {string.Join(", ", All.Select(family => family.Architecture))}",
                names.Count == 0 ? "nothing" : string.Join(", ", names));
    }

    /// <summary>The sliding window of all layers; 0 for none.</summary>
    /// <exception cref="CheckpointException">Layers differ, which is not implemented.</exception>
    public int Window(ConfigFields fields)
    {
        if (fields.Texts("layer_types").FirstOrDefault(type => type != "full_attention") is { } type && !HasPlainWindow)
        {
            throw fields.Refuse("layer_types", "full_attention in every layer", type);
        }

        if (HasPlainWindow)
        {
            if (fields.Texts("layer_types").Distinct().Count() > 1)
            {
                throw fields.Refuse("layer_types", "the same in every layer", string.Join(", ", fields.Texts("layer_types").Distinct()));
            }

            return fields.Texts("layer_types").Contains("full_attention") ? 0 : fields.IntOr("sliding_window", 1, 1 << 24, 0);
        }

        if (fields.Bool("use_sliding_window", false))
        {
            throw fields.Refuse("use_sliding_window", "false (windows in some layers only are not implemented)", "true");
        }

        return 0;
    }
}
