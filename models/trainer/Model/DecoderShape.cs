using System.Text.Json.Nodes;

namespace ModelServe.Trainer.Model;

/// <summary>The sizes of one decoder, and its config.json.</summary>
internal sealed record DecoderShape(
    string Name, int Vocabulary, int Hidden, int Layers, int Heads, int KvHeads, int HeadSize, int Intermediate, bool HeadNorms)
{
    public const int MaxPositions = 2048;
    public const double RopeTheta = 10000;
    public const double Epsilon = 1e-6;

    public static DecoderShape Named(string name, int vocabulary) => name switch
    {
        "nano" => new(name, vocabulary, 96, 4, 3, 3, 32, 256, HeadNorms: false),
        "mini" => new(name, vocabulary, 192, 6, 6, 2, 32, 512, HeadNorms: true),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "the models are nano and mini"),
    };

    public JsonObject Config()
    {
        JsonObject config = Common();
        if (HeadNorms)
        {
            config["use_sliding_window"] = false;
        }

        return config;
    }

    private JsonObject Common() => new()
    {
        ["architectures"] = new JsonArray(HeadNorms ? "Qwen3ForCausalLM" : "LlamaForCausalLM"),
        ["model_type"] = HeadNorms ? "qwen3" : "llama",
        ["vocab_size"] = Vocabulary,
        ["hidden_size"] = Hidden,
        ["intermediate_size"] = Intermediate,
        ["num_hidden_layers"] = Layers,
        ["num_attention_heads"] = Heads,
        ["num_key_value_heads"] = KvHeads,
        ["head_dim"] = HeadSize,
        ["hidden_act"] = "silu",
        ["max_position_embeddings"] = MaxPositions,
        ["rope_theta"] = RopeTheta,
        ["rope_scaling"] = null,
        ["rms_norm_eps"] = Epsilon,
        ["attention_bias"] = false,
        ["attention_dropout"] = 0.0,
        ["mlp_bias"] = false,
        ["tie_word_embeddings"] = true,
        ["initializer_range"] = 0.02,
        ["bos_token_id"] = null,
        ["eos_token_id"] = 2,
        ["pad_token_id"] = 0,
        ["torch_dtype"] = "bfloat16",
        ["use_cache"] = true,
        ["transformers_version"] = "4.51.0",
    };
}
