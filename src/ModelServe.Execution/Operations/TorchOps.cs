using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelServe.Execution.Operations;

/// <summary>The operations in plain TorchSharp, as their definitions read: what every other implementation is compared with.</summary>
/// <remarks>
/// Slow: it widens each weight to float32 for each use and gathers a sequence's cache before it attends. Makes no scratch of its
/// own; what libtorch allocates inside a call is freed when the call returns. Every number that is handed over as a
/// <see cref="Scalar"/> is held by a variable until after the call: TorchSharp keeps only its address, so that a collection in the midst
/// of the call would free what libtorch is about to read.
/// </remarks>
internal sealed unsafe class TorchOps : IOps
{
    private readonly List<Tensor> _weights = [];
    private readonly TorchPlace _place;

    /// <summary>Loads libtorch, to compute on the host.</summary>
    /// <exception cref="NativeTorchException">It does not load.</exception>
    public TorchOps(int threads)
        : this(threads, TorchPlace.Host)
    {
    }

    /// <summary>Loads libtorch, to compute in a place; weights, activations and cache lie there.</summary>
    /// <exception cref="NativeTorchException">It does not load.</exception>
    public TorchOps(int threads, TorchPlace place)
    {
        _place = place;
        NativeTorch.EnsureLoaded();
        set_num_threads(threads);
    }

    /// <inheritdoc />
    public void Adopt(WeightMatrix weight)
    {
        var view = Aten.FromMemory(weight.Data, weight.Type, _place, weight.Rows, weight.Columns);
        weight.Companion = view;
        _weights.Add(view);
    }

    /// <inheritdoc />
    public void BeginStep(StepBatch batch)
    {
        // Nothing here depends on the batch alone.
    }

    /// <inheritdoc />
    public void Embed(StepBatch batch, WeightMatrix table, Activation output)
    {
        using var scope = NewDisposeScope();
        var rows = ((Tensor)table.Companion!).index_select(0, Indices(batch.TokenIds, 0, batch.TokenCount));
        View(output, batch.TokenCount).copy_(rows);
    }

    /// <inheritdoc />
    public void Norm(Activation x, WeightVector gain, float epsilon, Activation output, int rows)
    {
        using var scope = NewDisposeScope();
        View(output, rows).copy_(Normalised(View(x, rows), gain, epsilon));
    }

    /// <inheritdoc />
    public void AddNorm(Activation residual, Activation delta, WeightVector gain, float epsilon, Activation output, int rows)
    {
        using var scope = NewDisposeScope();
        var sum = View(residual, rows).add_(View(delta, rows));
        View(output, rows).copy_(Normalised(sum, gain, epsilon));
    }

    /// <inheritdoc />
    public void Linear(Activation x, WeightMatrix weight, Activation output, int rows)
    {
        using var scope = NewDisposeScope();
        var wide = ((Tensor)weight.Companion!).to(ScalarType.Float32);
        var product = nn.functional.linear(View(x, rows), wide);
        View(output, rows).copy_(weight.Bias is { } bias ? product.add_(View(bias)) : product);
    }

    /// <inheritdoc />
    public void RotateAndStore(
        StepBatch batch,
        Activation fused,
        AttentionShape shape,
        WeightVector? queryGain,
        WeightVector? keyGain,
        float epsilon,
        RotaryTable rotary,
        KvCache cache,
        int layer)
    {
        using var scope = NewDisposeScope();
        var tokens = batch.TokenCount;
        var rows = View(fused, tokens);
        var queries = rows.narrow(1, 0, shape.QueryColumns).view(tokens, shape.QueryHeads, shape.HeadDim);
        var keys = rows.narrow(1, shape.QueryColumns, shape.KeyValueColumns).view(tokens, shape.KeyValueHeads, shape.HeadDim);
        var values = rows.narrow(1, shape.QueryColumns + shape.KeyValueColumns, shape.KeyValueColumns)
            .view(tokens, shape.KeyValueHeads, shape.HeadDim);

        var positions = Indices(batch.Positions, 0, tokens);
        var cosines = Table(rotary.Cosines, rotary).index_select(0, positions).unsqueeze(1);
        var sines = Table(rotary.Sines, rotary).index_select(0, positions).unsqueeze(1);
        queries.copy_(Rotated(queryGain is null ? queries : Normalised(queries, queryGain, epsilon), cosines, sines, shape.HeadDim));
        var rotatedKeys = Rotated(keyGain is null ? keys : Normalised(keys, keyGain, epsilon), cosines, sines, shape.HeadDim);

        var slots = Indices(batch.CacheSlots, 0, tokens);
        using Scalar blockTokens = cache.BlockTokens;
        using Scalar pack = cache.Pack;
        var blocks = slots.div(blockTokens, RoundingMode.floor);
        var offsets = slots.remainder(blockTokens);

        // Seen as [block, slot, head, ...] whatever the layout, so that one indexed store takes all tokens.
        var (storedKeys, keyScales) = Stored(rotatedKeys, cache);
        var (storedValues, valueScales) = Stored(values, cache);
        var lanes = cache.HeadDim / cache.Pack;
        Keys(cache, layer).permute(0, 3, 1, 2, 4)
            .index_put_(storedKeys.reshape(tokens, cache.KeyValueHeads, lanes, cache.Pack), blocks, offsets);
        var packs = offsets.div(pack, RoundingMode.floor);
        Values(cache, layer).permute(0, 2, 4, 1, 3).index_put_(storedValues, blocks, packs, offsets.remainder(pack));
        if (cache.Type == ElementType.Int8)
        {
            Scales(cache, layer, 0).permute(0, 2, 1).index_put_(keyScales, blocks, offsets);
            Scales(cache, layer, 1).permute(0, 2, 1).index_put_(valueScales, blocks, offsets);
        }
    }

    /// <inheritdoc />
    public void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output)
    {
        for (var sequence = 0; sequence < batch.SequenceCount; sequence++)
        {
            AttendSequence(batch, sequence, fused, shape, cache, layer, output);
        }
    }

    /// <inheritdoc />
    public void GatedActivation(Activation gateUp, Activation output, int rows)
    {
        using var scope = NewDisposeScope();
        var both = View(gateUp, rows);
        var gate = nn.functional.silu(both.narrow(1, 0, output.Columns));
        View(output, rows).copy_(gate.mul_(both.narrow(1, output.Columns, output.Columns)));
    }

    /// <inheritdoc />
    public void GatherSampled(StepBatch batch, Activation residual, Activation? pending, Activation output) =>
        Gather(batch, batch.SampledTokens, 0, residual, pending, output, batch.SampledCount);

    /// <inheritdoc />
    public void GatherScored(StepBatch batch, int start, Activation residual, Activation? pending, Activation output, int rows) =>
        Gather(batch, batch.ScoredTokens, start, residual, pending, output, rows);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var weight in _weights)
        {
            weight.Dispose();
        }

        _weights.Clear();
    }

    private void Gather(StepBatch batch, int[] tokens, int start, Activation residual, Activation? pending, Activation output, int count)
    {
        using var scope = NewDisposeScope();
        var indices = Indices(tokens, start, count);
        var rows = View(residual, batch.TokenCount).index_select(0, indices);
        View(output, count).copy_(
            pending is null ? rows : rows.add_(View(pending, batch.TokenCount).index_select(0, indices)));
    }

    private void AttendSequence(
        StepBatch batch, int sequence, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output)
    {
        using var scope = NewDisposeScope();
        var start = batch.TokenStarts[sequence];
        var count = batch.TokenStarts[sequence + 1] - start;
        var context = batch.ContextLength(sequence);
        var blockCount = (context + cache.BlockTokens - 1) / cache.BlockTokens;
        var blocks = Indices(batch.BlockTables, batch.BlockRows[sequence], blockCount);
        var queries = View(fused, batch.TokenCount)
            .narrow(0, start, count)
            .narrow(1, 0, shape.QueryColumns)
            .view(count, shape.QueryHeads, shape.HeadDim)
            .transpose(0, 1);

        // [head, position, element]; the slots after the context are cut off before anything is computed with them.
        var group = shape.QueryHeads / shape.KeyValueHeads;
        var keys = Gathered(Keys(cache, layer).index_select(0, blocks).permute(1, 0, 3, 2, 4), 0).repeat_interleave(group, 0);
        var values = Gathered(Values(cache, layer).index_select(0, blocks).permute(1, 0, 2, 4, 3), 1).repeat_interleave(group, 0);

        var scores = queries.bmm(keys.transpose(1, 2)).mul_(tensor(shape.Scale));
        using Scalar zero = 0, first = batch.FirstPositions[sequence], end = context, never = float.NegativeInfinity;
        var queryPositions = arange(first, end, ScalarType.Int64, _place.Device()).unsqueeze(1);
        var keyPositions = arange(zero, end, ScalarType.Int64, _place.Device()).unsqueeze(0);
        var hidden = keyPositions.greater(queryPositions);
        if (shape.Window > 0)
        {
            hidden = hidden.logical_or_(keyPositions.less_equal(queryPositions.sub(tensor((long)shape.Window))));
        }

        var weights = scores.masked_fill_(hidden, never).softmax(-1);
        View(output, batch.TokenCount).narrow(0, start, count)
            .copy_(weights.bmm(values).transpose(0, 1).reshape(count, shape.QueryColumns));

        Tensor Gathered(Tensor elements, int which)
        {
            var wide = elements.reshape(shape.KeyValueHeads, blockCount * cache.BlockTokens, shape.HeadDim)
                .narrow(1, 0, context).to(ScalarType.Float32);
            return cache.Type != ElementType.Int8
                ? wide
                : wide.mul_(Scales(cache, layer, which).index_select(0, blocks).permute(1, 0, 2)
                    .reshape(shape.KeyValueHeads, blockCount * cache.BlockTokens, 1).narrow(1, 0, context));
        }
    }

    private Tensor Normalised(Tensor x, WeightVector gain, float epsilon)
    {
        var meanSquare = x.mul(x).mean([-1], keepdim: true);
        return x.mul(meanSquare.add_(tensor(epsilon)).rsqrt_()).mul_(View(gain));
    }

    private static Tensor Rotated(Tensor x, Tensor cosines, Tensor sines, int headDim)
    {
        var half = headDim / 2;
        var first = x.narrow(2, 0, half);
        var second = x.narrow(2, half, half);
        return cat(
            [
                first.mul(cosines).sub_(second.mul(sines)),
                second.mul(cosines).add_(first.mul(sines)),
            ],
            2);
    }

    /// <summary>[token, head, element] as the cache holds them, with [token, head] scales of bytes.</summary>
    private static (Tensor Elements, Tensor Scales) Stored(Tensor x, KvCache cache)
    {
        if (cache.Type != ElementType.Int8)
        {
            return (cache.Type == ElementType.BFloat16 ? x.to(ScalarType.BFloat16) : x, x);
        }

        using Scalar one = 1f, least = -127, most = 127;
        var scales = x.abs().amax([-1], keepdim: true).div_(tensor(127f));
        var whole = x.div(scales.masked_fill(scales.eq(tensor(0f)), one)).round_().clamp_(least, most).to(ScalarType.Int8);
        return (whole, scales.squeeze(-1));
    }

    private Tensor View(Activation activation, int rows) =>
        Aten.FromMemory(activation.Data, ElementType.Float32, _place, rows, activation.Columns);

    private Tensor View(WeightVector vector) => Aten.FromMemory(vector.Data, ElementType.Float32, _place, vector.Length);

    private Tensor Table(float* values, RotaryTable rotary) =>
        Aten.FromMemory(values, ElementType.Float32, _place, rotary.Positions, rotary.Half);

    /// <summary>Keys of a layer, [block, head, lane, slot, element of the lane].</summary>
    private Tensor Keys(KvCache cache, int layer) => Elements(cache, layer, 0)
        .view(cache.Blocks, cache.KeyValueHeads, cache.HeadDim / cache.Pack, cache.BlockTokens, cache.Pack);

    /// <summary>Values of a layer, [block, head, lane, element, slot of the lane].</summary>
    private Tensor Values(KvCache cache, int layer) => Elements(cache, layer, 1)
        .view(cache.Blocks, cache.KeyValueHeads, cache.BlockTokens / cache.Pack, cache.HeadDim, cache.Pack);

    /// <summary>Scales of a layer's keys (0) or values (1), [block, head, slot].</summary>
    private Tensor Scales(KvCache cache, int layer, int which)
    {
        var floats = cache.HeadBytes / sizeof(float);
        return Aten.FromMemory(cache.Keys(layer, 0, 0), ElementType.Float32, _place, cache.Blocks, cache.KeyValueHeads, floats)
            .narrow(2, floats - ((2 - which) * cache.BlockTokens), cache.BlockTokens);
    }

    private Tensor Elements(KvCache cache, int layer, int which) =>
        Aten.FromMemory(cache.Keys(layer, 0, 0), cache.Type, _place, cache.Blocks, cache.KeyValueHeads, cache.HeadBytes / cache.Type.Bytes())
            .narrow(2, which * cache.HeadElements, cache.HeadElements);

    private Tensor Indices(int[] values, int start, int count)
    {
        var wide = new long[count];
        for (var i = 0; i < count; i++)
        {
            wide[i] = values[start + i];
        }

        var indices = tensor(wide);
        return _place.IsHost ? indices : indices.to(_place.Device());
    }
}
