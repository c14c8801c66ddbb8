using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using ModelServe.Execution.Memory;

namespace ModelServe.Benchmarks;

/// <summary>Writes a checkpoint folder of a real model's shape with random bfloat16 weights: for load and speed figures, not for text.</summary>
/// <remarks>The values repeat a fixed table of 65,521 Gaussian draws, so that gigabytes are written at disk speed; the same seed gives the same bytes.</remarks>
internal static class RandomCheckpoint
{
    private const int TableLength = 65_521;

    /// <summary>The shapes that can be asked for by name.</summary>
    public static IReadOnlyDictionary<string, CheckpointShape> Shapes { get; } = new Dictionary<string, CheckpointShape>
    {
        ["llama-3.2-1b"] = new("LlamaForCausalLM", "llama", 128_256, 2048, 16, 32, 8, 64, 8192, Tied: true, QkNorm: false),
        ["qwen3-0.6b"] = new("Qwen3ForCausalLM", "qwen3", 151_936, 1024, 28, 16, 8, 128, 3072, Tied: true, QkNorm: true),
        ["llama-125m"] = new("LlamaForCausalLM", "llama", 32_000, 768, 12, 12, 4, 64, 2048, Tied: true, QkNorm: false),
    };

    /// <summary>Writes config.json and model.safetensors into <paramref name="directory"/>.</summary>
    public static void Write(string directory, CheckpointShape shape, int seed)
    {
        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, "config.json"), Config(shape));
        List<(string Name, long[] Shape, bool IsGain)> tensors = Tensors(shape);
        using FileStream file = new(Path.Combine(directory, "model.safetensors"), FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20);
        byte[] header = Header(tensors);
        Span<byte> length = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        file.Write(length);
        file.Write(header);
        ushort[] table = GaussianTable(seed);
        ushort[] ones = [.. Enumerable.Repeat((ushort)0x3F80, TableLength)];
        foreach ((string _, long[] dimensions, bool isGain) in tensors)
        {
            WriteValues(file, isGain ? ones : table, dimensions.Aggregate(1L, (product, size) => product * size));
        }
    }

    /// <summary>Fills memory with the weights that a checkpoint would have.</summary>
    public static unsafe void Fill(NativeBuffer memory)
    {
        ReadOnlySpan<ushort> table = GaussianTable(seed: 1);
        for (long element = 0; element < memory.Bytes / sizeof(ushort); element += table.Length)
        {
            int part = (int)Math.Min(table.Length, (memory.Bytes / sizeof(ushort)) - element);
            table[..part].CopyTo(new Span<ushort>((ushort*)memory.Pointer + element, part));
        }
    }

    private static void WriteValues(FileStream file, ushort[] values, long count)
    {
        for (long written = 0; written < count;)
        {
            int part = (int)Math.Min(values.Length, count - written);
            file.Write(MemoryMarshal.AsBytes(values.AsSpan(0, part)));
            written += part;
        }
    }

    private static ushort[] GaussianTable(int seed)
    {
        Random random = new(seed);
        ushort[] table = new ushort[TableLength];
        for (int i = 0; i < table.Length; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble()));
            float value = (float)(0.02 * radius * Math.Cos(2 * Math.PI * random.NextDouble()));
            table[i] = (ushort)((BitConverter.SingleToUInt32Bits(value) + 0x8000) >> 16);
        }

        return table;
    }

    private static byte[] Header(List<(string Name, long[] Shape, bool IsGain)> tensors)
    {
        JsonObject header = [];
        long offset = 0;
        foreach ((string name, long[] shape, bool _) in tensors)
        {
            long bytes = shape.Aggregate(2L, (product, size) => product * size);
            header[name] = new JsonObject
            {
                ["dtype"] = "BF16",
                ["shape"] = new JsonArray([.. shape.Select(size => (JsonNode)size)]),
                ["data_offsets"] = new JsonArray(offset, offset + bytes),
            };
            offset += bytes;
        }

        byte[] json = Encoding.UTF8.GetBytes(header.ToJsonString());
        byte[] padded = new byte[(json.Length + 7) / 8 * 8];
        padded.AsSpan().Fill((byte)' ');
        json.CopyTo(padded, 0);
        return padded;
    }

    private static List<(string Name, long[] Shape, bool IsGain)> Tensors(CheckpointShape s)
    {
        List<(string, long[], bool)> tensors = [("model.embed_tokens.weight", [s.Vocabulary, s.Hidden], false), ("model.norm.weight", [s.Hidden], true)];
        for (int layer = 0; layer < s.Layers; layer++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"model.layers.{layer}.");
            tensors.Add((prefix + "input_layernorm.weight", [s.Hidden], true));
            tensors.Add((prefix + "self_attn.q_proj.weight", [(long)s.Heads * s.HeadSize, s.Hidden], false));
            tensors.Add((prefix + "self_attn.k_proj.weight", [(long)s.KvHeads * s.HeadSize, s.Hidden], false));
            tensors.Add((prefix + "self_attn.v_proj.weight", [(long)s.KvHeads * s.HeadSize, s.Hidden], false));
            tensors.Add((prefix + "self_attn.o_proj.weight", [s.Hidden, (long)s.Heads * s.HeadSize], false));
            if (s.QkNorm)
            {
                tensors.Add((prefix + "self_attn.q_norm.weight", [s.HeadSize], true));
                tensors.Add((prefix + "self_attn.k_norm.weight", [s.HeadSize], true));
            }

            tensors.Add((prefix + "post_attention_layernorm.weight", [s.Hidden], true));
            tensors.Add((prefix + "mlp.gate_proj.weight", [s.Intermediate, s.Hidden], false));
            tensors.Add((prefix + "mlp.up_proj.weight", [s.Intermediate, s.Hidden], false));
            tensors.Add((prefix + "mlp.down_proj.weight", [s.Hidden, s.Intermediate], false));
        }

        if (!s.Tied)
        {
            tensors.Add(("lm_head.weight", [s.Vocabulary, s.Hidden], false));
        }

        return tensors;
    }

    private static string Config(CheckpointShape s) => new JsonObject
    {
        ["architectures"] = new JsonArray(s.Architecture),
        ["model_type"] = s.ModelType,
        ["vocab_size"] = s.Vocabulary,
        ["hidden_size"] = s.Hidden,
        ["num_hidden_layers"] = s.Layers,
        ["num_attention_heads"] = s.Heads,
        ["num_key_value_heads"] = s.KvHeads,
        ["head_dim"] = s.HeadSize,
        ["intermediate_size"] = s.Intermediate,
        ["max_position_embeddings"] = 8192,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 500_000.0,
        ["hidden_act"] = "silu",
        ["tie_word_embeddings"] = s.Tied,
        ["attention_bias"] = false,
        ["torch_dtype"] = "bfloat16",
        ["bos_token_id"] = 1,
        ["eos_token_id"] = 2,
    }.ToJsonString();
}
