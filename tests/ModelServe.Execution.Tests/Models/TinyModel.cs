using System.Text.Json.Nodes;

namespace ModelServe.Execution.Tests.Models;

/// <summary>The shape of a small random model: what its config.json will say, and what the reference forward pass computes with.</summary>
public sealed record TinyModel
{
    public string Architecture { get; init; } = "LlamaForCausalLM";

    public int Hidden { get; init; } = 64;

    public int Intermediate { get; init; } = 96;

    public int Layers { get; init; } = 2;

    public int Heads { get; init; } = 4;

    public int KvHeads { get; init; } = 2;

    public int HeadDim { get; init; } = 16;

    public int Vocabulary { get; init; } = 199;

    public int MaxPositions { get; init; } = 256;

    public double Epsilon { get; init; } = 1e-5;

    public double RotaryBase { get; init; } = 10_000;

    public bool QkvBias { get; init; }

    public bool OutputBias { get; init; }

    public bool MlpBias { get; init; }

    public bool QkNorm { get; init; }

    public bool Tied { get; init; }

    public int Window { get; init; }

    /// <summary>Original positions of Llama 3's rotary scaling; 0 for none.</summary>
    public int Llama3Original { get; init; }

    /// <summary>Factor of linear rotary scaling; 1 for none.</summary>
    public double LinearFactor { get; init; } = 1;

    public static TinyModel Llama { get; } = new();

    public static TinyModel LlamaTied { get; } = new() { Tied = true, KvHeads = 4, HeadDim = 32 };

    public static TinyModel LlamaBiased { get; } = new() { QkvBias = true, OutputBias = true, MlpBias = true, KvHeads = 1 };

    public static TinyModel Llama3 { get; } = new() { Llama3Original = 32, RotaryBase = 500_000, HeadDim = 64, Heads = 2, KvHeads = 1 };

    public static TinyModel LlamaLinear { get; } = new() { LinearFactor = 4 };

    public static TinyModel Mistral { get; } = new() { Architecture = "MistralForCausalLM", Window = 7 };

    public static TinyModel Qwen2 { get; } = new() { Architecture = "Qwen2ForCausalLM", QkvBias = true, Tied = true, Epsilon = 1e-6 };

    public static TinyModel Qwen3 { get; } =
        new() { Architecture = "Qwen3ForCausalLM", QkNorm = true, HeadDim = 32, Epsilon = 1e-6, RotaryBase = 1_000_000 };

    public static TinyModel WideHeads { get; } =
        new() { Architecture = "Qwen3ForCausalLM", QkNorm = true, HeadDim = 128, Heads = 2, KvHeads = 1, Layers = 1, Epsilon = 1e-6 };

    public static IReadOnlyDictionary<string, TinyModel> All { get; } = new Dictionary<string, TinyModel>(StringComparer.Ordinal)
    {
        ["llama"] = Llama,
        ["llama tied"] = LlamaTied,
        ["llama biased"] = LlamaBiased,
        ["llama 3"] = Llama3,
        ["llama linear"] = LlamaLinear,
        ["mistral window"] = Mistral,
        ["qwen2"] = Qwen2,
        ["qwen3"] = Qwen3,
        ["wide heads"] = WideHeads,
    };

    /// <summary>The config.json of this model.</summary>
    public JsonObject Config()
    {
        var config = new JsonObject
        {
            ["architectures"] = new JsonArray(Architecture),
            ["hidden_size"] = Hidden,
            ["intermediate_size"] = Intermediate,
            ["num_hidden_layers"] = Layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KvHeads,
            ["head_dim"] = HeadDim,
            ["vocab_size"] = Vocabulary,
            ["max_position_embeddings"] = MaxPositions,
            ["rms_norm_eps"] = Epsilon,
            ["rope_theta"] = RotaryBase,
            ["tie_word_embeddings"] = Tied,
            ["hidden_act"] = "silu",
            ["attention_bias"] = OutputBias,
            ["mlp_bias"] = MlpBias,
        };
        if (Window > 0)
        {
            config["sliding_window"] = Window;
        }

        if (Llama3Original > 0)
        {
            config["rope_scaling"] = new JsonObject
            {
                ["rope_type"] = "llama3",
                ["factor"] = 8.0,
                ["low_freq_factor"] = 1.0,
                ["high_freq_factor"] = 4.0,
                ["original_max_position_embeddings"] = Llama3Original,
            };
        }
        else if (LinearFactor != 1)
        {
            config["rope_scaling"] = new JsonObject { ["type"] = "linear", ["factor"] = LinearFactor };
        }

        return config;
    }

    /// <summary>Name and shape of every tensor, in the order of a real checkpoint.</summary>
    public IEnumerable<(string Name, int[] Shape)> Tensors()
    {
        yield return ("model.embed_tokens.weight", [Vocabulary, Hidden]);
        for (var i = 0; i < Layers; i++)
        {
            var layer = $"model.layers.{i}.";
            yield return ($"{layer}input_layernorm.weight", [Hidden]);
            foreach (var (part, rows) in new[] { ("q", Heads * HeadDim), ("k", KvHeads * HeadDim), ("v", KvHeads * HeadDim) })
            {
                yield return ($"{layer}self_attn.{part}_proj.weight", [rows, Hidden]);
                if (QkvBias)
                {
                    yield return ($"{layer}self_attn.{part}_proj.bias", [rows]);
                }
            }

            yield return ($"{layer}self_attn.o_proj.weight", [Hidden, Heads * HeadDim]);
            if (OutputBias)
            {
                yield return ($"{layer}self_attn.o_proj.bias", [Hidden]);
            }

            if (QkNorm)
            {
                yield return ($"{layer}self_attn.q_norm.weight", [HeadDim]);
                yield return ($"{layer}self_attn.k_norm.weight", [HeadDim]);
            }

            yield return ($"{layer}post_attention_layernorm.weight", [Hidden]);
            foreach (var (part, rows, columns) in new[]
                     {
                         ("gate", Intermediate, Hidden), ("up", Intermediate, Hidden), ("down", Hidden, Intermediate),
                     })
            {
                yield return ($"{layer}mlp.{part}_proj.weight", [rows, columns]);
                if (MlpBias)
                {
                    yield return ($"{layer}mlp.{part}_proj.bias", [rows]);
                }
            }
        }

        yield return ("model.norm.weight", [Hidden]);
        if (!Tied)
        {
            yield return ("lm_head.weight", [Vocabulary, Hidden]);
        }
    }
}
