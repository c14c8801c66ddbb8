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

    /// <summary><c>residual[r] += pending[r]</c> where there is something pending, then <c>output[r] = weight · norm(residual[r]) (+ bias)</c>.</summary>
    /// <remarks>
    /// <paramref name="normed"/> is scratch of the residual's shape for an implementation that does it in parts; what is left in it is
    /// undefined. <paramref name="pending"/> is what <see cref="LinearInto"/> returned.
    /// </remarks>
    void NormLinear(
        Activation residual, Activation? pending, WeightVector gain, float epsilon, Activation normed, WeightMatrix weight, Activation output, int rows)
    {
        NormPending(residual, pending, gain, epsilon, normed, rows);
        Linear(normed, weight, output, rows);
    }

    /// <summary><see cref="NormLinear"/> by a matrix of gate rows, then up rows, and <see cref="GatedActivation"/> of what it gives.</summary>
    /// <remarks><paramref name="gateUp"/> is scratch, like <paramref name="normed"/>: [row, 2 · output.Columns].</remarks>
    void NormGated(
        Activation residual,
        Activation? pending,
        WeightVector gain,
        float epsilon,
        Activation normed,
        WeightMatrix weight,
        Activation gateUp,
        Activation output,
        int rows)
    {
        NormLinear(residual, pending, gain, epsilon, normed, weight, gateUp, rows);
        GatedActivation(gateUp, output, rows);
    }

    /// <summary><c>residual[r] += weight · x[r] (+ bias)</c>, now or with the next operation that reads the residual.</summary>
    /// <param name="x">What is multiplied; weight.Columns columns.</param>
    /// <param name="weight">The matrix.</param>
    /// <param name="residual">What is added to; weight.Rows columns.</param>
    /// <param name="delta">Where an implementation that does not add now leaves the product.</param>
    /// <param name="rows">Rows in use.</param>
    /// <returns>What is still to be added, <paramref name="delta"/>; null when nothing is.</returns>
    Activation? LinearInto(Activation x, WeightMatrix weight, Activation residual, Activation delta, int rows)
    {
        Linear(x, weight, delta, rows);
        return delta;
    }

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

    /// <summary><c>output[i] = residual[t] (+ pending[t])</c> with t = batch.SampledTokens[i], for every sampled row.</summary>
    void GatherSampled(StepBatch batch, Activation residual, Activation? pending, Activation output);

    /// <summary>The same for some scored rows: t = batch.ScoredTokens[start + i], for i below <paramref name="rows"/>.</summary>
    void GatherScored(StepBatch batch, int start, Activation residual, Activation? pending, Activation output, int rows);

    /// <summary>Threads that <see cref="ForEachRow"/> calls from, the engine's counted.</summary>
    int Threads => 1;

    /// <summary>Does something in the host's memory for each of so many rows, on several threads where that is worth it; returns when all are done.</summary>
    /// <param name="work">What is done.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Elements of a row, each of which it reads about once.</param>
    void ForEachRow(IRowWork work, int rows, int columns)
    {
        for (var row = 0; row < rows; row++)
        {
            work.Do(row, 0);
        }
    }

    /// <summary><see cref="AddNorm"/> where there is something pending, else <see cref="Norm"/>.</summary>
    sealed void NormPending(Activation residual, Activation? pending, WeightVector gain, float epsilon, Activation normed, int rows)
    {
        if (pending is null)
        {
            Norm(residual, gain, epsilon, normed, rows);
        }
        else
        {
            AddNorm(residual, pending, gain, epsilon, normed, rows);
        }
    }
}
