using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Checkpoints;

/// <summary>What a model's config.json says that the forward pass needs; every number checked, every unknown feature refused by name.</summary>
public sealed record ModelConfig
{
    /// <summary>Name of the file.</summary>
    public const string FileName = "config.json";

    /// <summary>Its class in the library it comes from, such as LlamaForCausalLM.</summary>
    public required string Architecture { get; init; }

    /// <summary>Columns of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Columns inside the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Decoder layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Heads of the queries.</summary>
    public required int QueryHeads { get; init; }

    /// <summary>Heads of keys and values; divides <see cref="QueryHeads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Elements of a head: a multiple of 16, at most 256.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Token ids are in [0, this).</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Longest sequence that the model was made for, in tokens.</summary>
    public required int MaxPositions { get; init; }

    /// <summary>Added to the mean square in every norm.</summary>
    public required float NormEpsilon { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public required double RotaryBase { get; init; }

    /// <summary>How the rotary frequencies are stretched.</summary>
    public RotaryScaling RotaryScaling { get; init; } = RotaryScaling.None;

    /// <summary>Positions that a query sees, itself included; 0 sees all earlier ones.</summary>
    public int SlidingWindow { get; init; }

    /// <summary>Whether query, key and value projections have a bias.</summary>
    public bool QkvBias { get; init; }

    /// <summary>Whether the attention's output projection has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the feed-forward projections have a bias.</summary>
    public bool MlpBias { get; init; }

    /// <summary>Whether queries and keys are normalised a head before rotation.</summary>
    public bool QkNorm { get; init; }

    /// <summary>Whether the logits are made with the embedding table.</summary>
    public bool TiedEmbeddings { get; init; }

    /// <summary>Sizes of the attention.</summary>
    internal AttentionShape Attention => new(QueryHeads, KeyValueHeads, HeadDim, 1f / MathF.Sqrt(HeadDim), SlidingWindow);

    /// <summary>Weights of the model, counted once where tied.</summary>
    public long Parameters => WeightMap.CountParameters(this);

    /// <summary>Reads a directory's config.json.</summary>
    /// <exception cref="CheckpointException">The file is missing, a number is out of range, or a feature is not implemented.</exception>
    public static ModelConfig Read(string directory) =>
        CheckpointJson.ReadFile(Path.Combine(directory, FileName), root => Read(new ConfigFields(root, FileName)));

    private static ModelConfig Read(ConfigFields fields)
    {
        var family = ModelFamily.Find(fields);
        RefuseUnsupported(fields);
        var hidden = fields.Int("hidden_size", 16, 65_536);
        var heads = fields.Int("num_attention_heads", 1, 1024);
        var config = new ModelConfig
        {
            Architecture = family.Architecture,
            HiddenSize = hidden,
            IntermediateSize = fields.Int("intermediate_size", 16, 524_288),
            Layers = fields.Int("num_hidden_layers", 1, 1024),
            QueryHeads = heads,
            KeyValueHeads = fields.IntOr("num_key_value_heads", 1, 1024, family.DefaultKeyValueHeads ?? heads),
            HeadDim = fields.IntOr("head_dim", 1, 256, family.DefaultHeadDim ?? hidden / heads),
            VocabularySize = fields.Int("vocab_size", 2, 4_194_304),
            MaxPositions = fields.Int("max_position_embeddings", 1, 1 << 24),
            NormEpsilon = (float)fields.Double("rms_norm_eps", 1e-12, 1e-1, 1e-6),
            RotaryBase = ReadRotaryBase(fields),
            RotaryScaling = RotaryScaling.Read(fields.Object("rope_parameters") ?? fields.Object("rope_scaling")),
            SlidingWindow = family.Window(fields),
            QkvBias = family.AlwaysQkvBias || (family.ReadsAttentionBias && fields.Bool("attention_bias", false)),
            OutputBias = family.ReadsAttentionBias && fields.Bool("attention_bias", false),
            MlpBias = family.ReadsMlpBias && fields.Bool("mlp_bias", false),
            QkNorm = family.QkNorm,
            TiedEmbeddings = fields.Bool("tie_word_embeddings", false),
        };
        if (config.QueryHeads % config.KeyValueHeads != 0)
        {
            throw fields.Refuse("num_key_value_heads", $"a divisor of num_attention_heads ({heads})", $"{config.KeyValueHeads}");
        }

        if (config.HeadDim % 16 != 0)
        {
            throw fields.Refuse("head_dim", "a multiple of 16 in 16..256", $"{config.HeadDim}");
        }

        return config;
    }

    // Newer files keep the base among the rotary parameters; there a default would hide parameters nested a layer type.
    private static double ReadRotaryBase(ConfigFields fields) =>
        fields.Object("rope_parameters") is { } rotary && !fields.Has("rope_theta")
            ? rotary.Double("rope_theta", 1, 1e12, null)
            : fields.Double("rope_theta", 1, 1e12, 10_000);

    private static void RefuseUnsupported(ConfigFields fields)
    {
        var activation = fields.Text("hidden_act") ?? "silu";
        if (activation != "silu")
        {
            throw fields.Refuse("hidden_act", "silu", activation);
        }

        if (fields.Has("quantization_config"))
        {
            throw fields.Refuse("quantization_config", "absent (quantised checkpoints are not read)", "present");
        }

        foreach (var source in new[] { fields, fields.Object("rope_parameters") })
        {
            if (source is not null && source.Double("partial_rotary_factor", 0, 1, 1) is var share and not 1)
            {
                throw source.Refuse("partial_rotary_factor", "1", $"{share}");
            }
        }
    }
}
