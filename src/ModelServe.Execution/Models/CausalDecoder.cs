using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Models;

/// <summary>The forward pass of a pre-norm decoder: attention, then a gated feed-forward part, each added to the residual stream.</summary>
/// <remarks>
/// Llama, Mistral, Qwen2 and Qwen3 are this one composition; what distinguishes them is which weights are there (biases, query
/// and key gains) and the numbers of the shape. It speaks to <see cref="IOps"/> only. Engine thread only; a step allocates nothing.
/// </remarks>
internal sealed class CausalDecoder : IDisposable
{
    private readonly IOps _ops;
    private readonly DecoderWeights _weights;
    private readonly KvCache _cache;
    private readonly RotaryTable _rotary;
    private readonly AttentionShape _attention;
    private readonly float _epsilon;
    private readonly int _scoredRows;
    private readonly ActivationArena _arena;
    private readonly Activation _residual;
    private readonly Activation _delta;
    private readonly Activation _hidden;
    private readonly Activation _fused;
    private readonly Activation _attended;
    private readonly Activation _gateUp;
    private readonly Activation _gated;
    private readonly Activation _sampled;
    private readonly Activation _sampledHidden;
    private readonly Activation _logits;

    /// <summary>A decoder over weights and cache that outlive it; takes its activations now.</summary>
    /// <remarks>Takes over <paramref name="arena"/>, which holds <see cref="ArenaBytes"/> of its type; without one it makes one in the host's memory.</remarks>
    public CausalDecoder(
        ModelConfig config, OpsShape shape, IOps ops, DecoderWeights weights, KvCache cache, RotaryTable rotary, ActivationArena? arena = null)
    {
        _ops = ops;
        _weights = weights;
        _cache = cache;
        _rotary = rotary;
        _attention = config.Attention;
        _epsilon = config.NormEpsilon;
        _scoredRows = shape.ScoredRows;
        _arena = arena ?? new ActivationArena(ArenaBytes(shape));
        var sizes = Sizes(shape);
        var parts = Array.ConvertAll(sizes[..^1], size => _arena.Carve(size.Rows, size.Columns));
        _residual = parts[0];
        _delta = parts[1];
        _hidden = parts[2];
        _fused = parts[3];
        _attended = parts[4];
        _gateUp = parts[5];
        _gated = parts[6];
        _sampled = parts[7];
        _sampledHidden = parts[8];
        _logits = _arena.Carve(sizes[^1].Rows, sizes[^1].Columns, ElementType.Float32);
    }

    /// <summary>Bytes of the activations.</summary>
    /// <remarks>Logits are float32 whatever the type of the others.</remarks>
    public static long ArenaBytes(OpsShape shape, ElementType type = ElementType.Float32)
    {
        var sizes = Sizes(shape);
        return sizes[..^1].Sum(size => ActivationArena.BytesFor(size.Rows, size.Columns, type)) +
            ActivationArena.BytesFor(sizes[^1].Rows, sizes[^1].Columns);
    }

    /// <summary>The activations' memory.</summary>
    public ActivationArena Arena => _arena;

    /// <summary>The logits' place: [sampled or scored row, vocabulary], float32.</summary>
    public Activation Logits => _logits;

    /// <summary>The operations' threads.</summary>
    public int Threads => _ops.Threads;

    /// <summary><see cref="IOps.ForEachRow"/> of the operations.</summary>
    public void ForEachRow(IRowWork work, int rows, int columns) => _ops.ForEachRow(work, rows, columns);

    /// <summary>Computes one step: stores its keys and values, and makes the logits of its sampled rows.</summary>
    /// <param name="batch">The step.</param>
    /// <param name="scorer">Is given the logits of scored rows, a tile at a time, before the sampled rows take their place.</param>
    /// <returns>[sampled row, vocabulary]; valid until the next step, and the caller's to change.</returns>
    public Activation Forward(StepBatch batch, IRowScorer? scorer = null)
    {
        var rows = batch.TokenCount;
        _ops.BeginStep(batch);
        _ops.Embed(batch, _weights.Embedding, _residual);
        Activation? pending = null;
        for (var i = 0; i < _weights.Layers.Count; i++)
        {
            var layer = _weights.Layers[i];
            _ops.NormLinear(_residual, pending, layer.InputNorm, _epsilon, _hidden, layer.Qkv, _fused, rows);
            _ops.RotateAndStore(batch, _fused, _attention, layer.QueryNorm, layer.KeyNorm, _epsilon, _rotary, _cache, i);
            _ops.Attention(batch, _fused, _attention, _cache, i, _attended);
            pending = _ops.LinearInto(_attended, layer.Output, _residual, _delta, rows);
            _ops.NormGated(_residual, pending, layer.PostNorm, _epsilon, _hidden, layer.GateUp, _gateUp, _gated, rows);
            pending = _ops.LinearInto(_gated, layer.Down, _residual, _delta, rows);
        }

        for (var start = 0; start < batch.ScoredCount; start += _scoredRows)
        {
            var count = Math.Min(_scoredRows, batch.ScoredCount - start);
            _ops.GatherScored(batch, start, _residual, pending, _sampled, count);
            _ops.NormLinear(_sampled, null, _weights.FinalNorm, _epsilon, _sampledHidden, _weights.Head, _logits, count);
            scorer!.Score(_logits, start, count);
        }

        if (batch.SampledCount > 0)
        {
            _ops.GatherSampled(batch, _residual, pending, _sampled);
            _ops.NormLinear(_sampled, null, _weights.FinalNorm, _epsilon, _sampledHidden, _weights.Head, _logits, batch.SampledCount);
        }

        return _logits;
    }

    /// <inheritdoc />
    public void Dispose() => _arena.Dispose();

    private static (int Rows, int Columns)[] Sizes(OpsShape shape) =>
    [
        (shape.MaxRows, shape.HiddenSize),
        (shape.MaxRows, shape.HiddenSize),
        (shape.MaxRows, shape.HiddenSize),
        (shape.MaxRows, shape.Attention.FusedColumns),
        (shape.MaxRows, shape.Attention.QueryColumns),
        (shape.MaxRows, 2 * shape.IntermediateSize),
        (shape.MaxRows, shape.IntermediateSize),
        (shape.LogitRows, shape.HiddenSize),
        (shape.LogitRows, shape.HiddenSize),
        (shape.LogitRows, shape.VocabularySize),
    ];
}
