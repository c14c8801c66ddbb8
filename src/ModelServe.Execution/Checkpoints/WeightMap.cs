using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Which tensor of a checkpoint goes where in memory: complete both ways, so that no weight is guessed or left out.</summary>
/// <remarks>
/// The layout lies in one run of memory in the order of use. Matrices that read the same input stand row after row, so that each
/// is one multiplication. Everything starts at a multiple of 64 bytes, except the parts of a fused matrix.
/// </remarks>
internal sealed class WeightMap
{
    private const long Alignment = 64;
    private const string EmbeddingName = "model.embed_tokens";
    private const string HeadName = "lm_head";
    private readonly ElementType _type;
    private readonly ElementType _layerType;
    private readonly ElementType _vectorType;
    private readonly QuantizationChoice _choice;
    private readonly List<WeightSlot> _slots = [];
    private readonly Matrix _embedding;
    private readonly Matrix _head;
    private readonly Vector _finalNorm;
    private readonly List<Layer> _layers = [];
    private readonly ModelConfig _config;

    /// <summary>The layout of a model whose matrices are stored as <paramref name="type"/> or quantised, and whose vectors as <paramref name="vectorType"/>.</summary>
    /// <remarks>
    /// The layers' matrices are of <paramref name="layerType"/> where that is given; those of <see cref="ElementType.Float8"/> are followed
    /// by a float32 scale for each of their rows.
    /// </remarks>
    public WeightMap(
        ModelConfig config,
        ElementType type,
        QuantizationChoice? choice = null,
        ElementType vectorType = ElementType.Float32,
        ElementType? layerType = null)
    {
        _layerType = layerType ?? type;
        _vectorType = vectorType;
        _choice = choice ?? QuantizationChoice.None;
        _config = config;
        _type = type;
        var attention = config.Attention;
        var hidden = config.HiddenSize;
        _embedding = Fuse(hidden, false, (EmbeddingName, config.VocabularySize));
        for (var i = 0; i < config.Layers; i++)
        {
            var layer = $"model.layers.{i}";
            _layers.Add(new Layer(
                Gain($"{layer}.input_layernorm", hidden),
                Fuse(
                    hidden,
                    config.QkvBias,
                    ($"{layer}.self_attn.q_proj", attention.QueryColumns),
                    ($"{layer}.self_attn.k_proj", attention.KeyValueColumns),
                    ($"{layer}.self_attn.v_proj", attention.KeyValueColumns)),
                config.QkNorm ? Gain($"{layer}.self_attn.q_norm", config.HeadDim) : null,
                config.QkNorm ? Gain($"{layer}.self_attn.k_norm", config.HeadDim) : null,
                Fuse(attention.QueryColumns, config.OutputBias, ($"{layer}.self_attn.o_proj", hidden)),
                Gain($"{layer}.post_attention_layernorm", hidden),
                Fuse(
                    hidden,
                    config.MlpBias,
                    ($"{layer}.mlp.gate_proj", config.IntermediateSize),
                    ($"{layer}.mlp.up_proj", config.IntermediateSize)),
                Fuse(config.IntermediateSize, config.MlpBias, ($"{layer}.mlp.down_proj", hidden))));
        }

        _finalNorm = Gain("model.norm", hidden);
        _head = config.TiedEmbeddings ? _embedding : Fuse(hidden, false, (HeadName, config.VocabularySize));
    }

    /// <summary>Every tensor that the model needs.</summary>
    public IReadOnlyList<WeightSlot> Slots => _slots;

    /// <summary>Bytes of the layout.</summary>
    public long Bytes { get; private set; }

    /// <summary>Weights of a model, counted once where tied.</summary>
    public static long CountParameters(ModelConfig config) =>
        new WeightMap(config, ElementType.BFloat16).Slots.Sum(slot => slot.Elements);

    /// <summary>Checks a checkpoint against the map: nothing missing, nothing unexpected, every shape and type right.</summary>
    /// <exception cref="CheckpointException">Names the first tensor that is wrong.</exception>
    public void Check(IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        foreach (var slot in _slots)
        {
            if (!tensors.TryGetValue(slot.Name, out var tensor))
            {
                throw new CheckpointException("weights", slot.Name, $"present with shape {slot.ShapeText}", "no such tensor");
            }

            if (!slot.Fits(tensor))
            {
                throw new CheckpointException("weights", $"{slot.Name}.shape", slot.ShapeText, tensor.ShapeText);
            }

            if (tensor.Type is not (StoredType.F32 or StoredType.BF16 or StoredType.F16))
            {
                throw new CheckpointException("weights", $"{slot.Name}.dtype", "F32, BF16 or F16", tensor.Type.ToString());
            }
        }

        var known = _slots.Select(slot => slot.Name).ToHashSet(StringComparer.Ordinal);
        var unexpected = tensors.Keys.Where(name => !known.Contains(name) && !IsIgnored(name)).Order(StringComparer.Ordinal).FirstOrDefault();
        if (unexpected is not null)
        {
            throw new CheckpointException(
                "weights", CheckpointException.Shorten(unexpected), $"no tensor that {_config.Architecture} does not use", tensors[unexpected].ShapeText);
        }
    }

    /// <summary>The weights as views of filled memory, which must hold <see cref="Bytes"/> and outlive them.</summary>
    public unsafe DecoderWeights Bind(NativeBuffer memory)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(memory.Bytes, Bytes);
        return Bind(memory.Pointer);
    }

    /// <summary>The weights as views of <see cref="Bytes"/> filled bytes, of the host or of a device, which must outlive them.</summary>
    public unsafe DecoderWeights Bind(byte* memory)
    {
        var embedding = View(memory, _embedding);
        var layers = _layers
            .Select(layer => new DecoderLayer(
                View(memory, layer.InputNorm),
                View(memory, layer.Qkv),
                layer.QueryNorm is { } query ? View(memory, query) : null,
                layer.KeyNorm is { } key ? View(memory, key) : null,
                View(memory, layer.Output),
                View(memory, layer.PostNorm),
                View(memory, layer.GateUp),
                View(memory, layer.Down)))
            .ToArray();
        return new DecoderWeights(
            embedding, layers, View(memory, _finalNorm), _config.TiedEmbeddings ? embedding : View(memory, _head));
    }

    private unsafe WeightVector View(byte* memory, Vector vector) =>
        new((float*)(memory + vector.Offset), vector.Length, _vectorType);

    private unsafe WeightMatrix View(byte* memory, Matrix matrix)
    {
        var start = memory + matrix.Offset;
        var bias = matrix.Bias is { } place ? View(memory, place) : null;
        return matrix switch
        {
            { Quantized: { } shape } => new WeightMatrix(start, shape, bias),
            { Scales: { } scales } => new WeightMatrix(start, (float*)(memory + scales), matrix.Rows, matrix.Columns, bias),
            _ => new WeightMatrix(start, matrix.Type, matrix.Rows, matrix.Columns, bias),
        };
    }

    // Tied checkpoints sometimes store the head too; older ones store the rotary frequencies, which the config determines.
    private bool IsIgnored(string name) =>
        name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal) || (_config.TiedEmbeddings && name == "lm_head.weight");

    private Vector Gain(string name, int length)
    {
        var offset = Take((long)length * _vectorType.Bytes());
        _slots.Add(new WeightSlot($"{name}.weight", length, null, offset, _vectorType));
        return new Vector(offset, length);
    }

    private Matrix Fuse(int columns, bool bias, params ReadOnlySpan<(string Name, int Rows)> parts)
    {
        var rows = 0;
        var isHead = false;
        var names = new List<string>();
        foreach (var part in parts)
        {
            rows += part.Rows;
            isHead |= part.Name is EmbeddingName or HeadName;
            names.Add($"{part.Name}.weight");
        }

        QuantizedShape? shape = _choice.For(names, isHead) is { } format ? new QuantizedShape(format, rows, columns) : null;
        var type = isHead ? _type : _layerType;
        var offset = Take(shape?.Bytes ?? ((long)rows * columns * type.Bytes()));
        long? scales = type == ElementType.Float8 ? Take((long)rows * sizeof(float)) : null;
        var biasOffset = bias ? Take((long)rows * _vectorType.Bytes()) : 0;
        var row = 0;
        foreach (var part in parts)
        {
            _slots.Add(shape is { } quantized
                ? new WeightSlot($"{part.Name}.weight", part.Rows, columns, offset, _type, new QuantizedPlace(quantized, row))
                : new WeightSlot(
                    $"{part.Name}.weight", part.Rows, columns, offset + ((long)row * columns * type.Bytes()), type, null, scales + (row * sizeof(float))));
            if (bias)
            {
                _slots.Add(new WeightSlot(
                    $"{part.Name}.bias", part.Rows, null, biasOffset + ((long)row * _vectorType.Bytes()), _vectorType));
            }

            row += part.Rows;
        }

        return new Matrix(offset, type, rows, columns, shape, scales, bias ? new Vector(biasOffset, rows) : null);
    }

    private long Take(long bytes)
    {
        var offset = Bytes;
        Bytes += (bytes + Alignment - 1) / Alignment * Alignment;
        return offset;
    }

    private readonly record struct Vector(long Offset, int Length);

    private readonly record struct Matrix(
        long Offset, ElementType Type, int Rows, int Columns, QuantizedShape? Quantized, long? Scales, Vector? Bias);

    private sealed record Layer(
        Vector InputNorm, Matrix Qkv, Vector? QueryNorm, Vector? KeyNorm, Matrix Output, Vector PostNorm, Matrix GateUp, Matrix Down);
}
