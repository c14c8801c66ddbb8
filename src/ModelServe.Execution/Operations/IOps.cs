using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Operations;

/// <summary>The operations that a decoder model composes. A model speaks to nothing else, so it is written once for every device.</summary>
/// <remarks>
/// Implementations are made from an <see cref="OpsShape"/> and take their scratch memory then: a step allocates nothing.
/// Every call is synchronous, on the engine thread; an implementation may spread it over threads of its own.
/// Arithmetic is float32 (sums too) whatever the storage type of weights and cache. Outputs never alias inputs unless said.
/// Rows in use are the batch's tokens, or the given count. Shapes are the caller's promise; implementations check them in Debug.
/// </remarks>
internal interface IOps : IDisposable
{
    /// <summary>Shows a weight to the implementation once, after it is loaded and before any step.</summary>
    /// <remarks>
    /// It may keep what it needs in <see cref="WeightMatrix.Companion"/>; it releases that when it is disposed. It makes no copy, but it
    /// may rearrange the elements where they lie: from then on the weight is for this implementation only.
    /// </remarks>
    void Adopt(WeightMatrix weight);

    /// <summary>Begins a step: what depends on the batch alone and not on a layer (division of the attention's work, say) is done here.</summary>
    void BeginStep(StepBatch batch);

    /// <summary><c>output[t] = table[batch.TokenIds[t]]</c> for every token of the batch.</summary>
    void Embed(StepBatch batch, WeightMatrix table, Activation output);

    /// <summary><c>output[r] = x[r] / sqrt(mean(x[r]²) + epsilon) * gain</c> for the first <paramref name="rows"/> rows.</summary>
    void Norm(Activation x, WeightVector gain, float epsilon, Activation output, int rows);

    /// <summary><c>residual[r] += delta[r]</c>, then <c>output[r] = norm(residual[r])</c> as in <see cref="Norm"/>.</summary>
    void AddNorm(Activation residual, Activation delta, WeightVector gain, float epsilon, Activation output, int rows);

    /// <summary><c>output[r] = weight · x[r] (+ bias)</c>; x has weight.Columns columns, output weight.Rows.</summary>
    void Linear(Activation x, WeightMatrix weight, Activation output, int rows);

    /// <summary>Prepares a layer's queries and stores its keys and values, for every token of the batch.</summary>
    /// <remarks>
    /// <paramref name="fused"/> is [token, queries | keys | values] (<see cref="AttentionShape.FusedColumns"/>). Each query and key head is first
    /// normalised as in <see cref="Norm"/> over its headDim elements if gains are given, then rotated by its token's position. Queries are
    /// changed in place; keys and values go to the cache at <see cref="StepBatch.CacheSlots"/>, rounded to its type (to nearest even).
    /// What is left in the key and value columns of <paramref name="fused"/> is undefined.
    /// </remarks>
    void RotateAndStore(
        StepBatch batch,
        Activation fused,
        AttentionShape shape,
        WeightVector? queryGain,
        WeightVector? keyGain,
        float epsilon,
        RotaryTable rotary,
        KvCache cache,
        int layer);

    /// <summary>Causal attention of every token's queries over the cache, through the block tables.</summary>
    /// <remarks>
    /// The query at position p sees positions <see cref="AttentionShape.FirstVisible"/>(p) .. p of its own sequence, whose keys and values
    /// <see cref="RotateAndStore"/> has stored, in this step or an earlier one. Output is [token, <see cref="AttentionShape.QueryColumns"/>].
    /// A sequence's result depends on no other sequence, finite or not.
    /// </remarks>
    void Attention(StepBatch batch, Activation fused, AttentionShape shape, KvCache cache, int layer, Activation output);

    /// <summary><c>output[r, i] = silu(gateUp[r, i]) * gateUp[r, n + i]</c>, with n = output.Columns and silu(g) = g / (1 + exp(−g)).</summary>
    void GatedActivation(Activation gateUp, Activation output, int rows);

    /// <summary><c>output[i] = residual[t] + delta[t]</c> with t = batch.SampledTokens[i], for every sampled row.</summary>
    void GatherSampled(StepBatch batch, Activation residual, Activation delta, Activation output);
}
