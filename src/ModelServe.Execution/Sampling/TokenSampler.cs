using System.Runtime.Intrinsics;
using ModelServe.Engine.Running;

namespace ModelServe.Execution.Sampling;

/// <summary>Chooses the next token of one sequence from its logits.</summary>
/// <remarks>
/// Order: raw log probabilities; bias, minimum tokens, penalties; temperature, min-p, top-k, top-p; draw. The vocabulary is never
/// sorted: tokens above a bar are collected, and the bar falls until they suffice. Ties rank by lower id.
/// Engine thread only; allocates nothing after it is made.
/// </remarks>
internal sealed class TokenSampler
{
    // Each fall of the bar takes in tokens a thousand times less likely; the second is rarely needed.
    private const float FirstBar = 1f / 1024;

    private readonly float[] _logits;
    private readonly float[] _weights;
    private readonly ulong[] _candidates;

    /// <summary>A sampler for one vocabulary.</summary>
    public TokenSampler(int vocabularySize)
    {
        _logits = new float[vocabularySize];
        _weights = new float[vocabularySize];
        _candidates = new ulong[vocabularySize];
    }

    /// <summary>Chooses a token and writes it, with its log probabilities if asked for, to entry <paramref name="index"/> of the result.</summary>
    /// <param name="row">The logits, one vocabulary; unchanged.</param>
    /// <param name="slot">The sequence's options, counts and mask, which is ready; the token is recorded there.</param>
    /// <param name="position">The position that the token will have.</param>
    /// <param name="result">Where it goes. A row that is not finite becomes <see cref="StepResult.Failed"/>.</param>
    /// <param name="index">The entry.</param>
    public void Sample(ReadOnlySpan<float> row, SlotSampling slot, int position, StepResult result, int index)
    {
        result.TopCounts[index] = 0;
        var rawMax = LogitRow.FiniteMax(row);
        var token = float.IsNaN(rawMax) ? StepResult.Failed : Choose(row, rawMax, slot, position);
        result.TokenIds[index] = token;
        result.Failures[index] = token == StepResult.Failed ? slot.Failure : null;
        if (token < 0)
        {
            return;
        }

        if (slot.Options.TopLogprobs is { } top)
        {
            WriteLogprobs(row, rawMax, token, Math.Min(Math.Min(top, result.TopStride), row.Length), result, index);
        }

        slot.Record(token);
    }

    private static void WriteLogprobs(ReadOnlySpan<float> row, float rawMax, int token, int top, StepResult result, int index)
    {
        var normaliser = LogitRow.LogSumExp(row, rawMax);
        result.Logprobs[index] = (float)(row[token] - normaliser);
        result.TopCounts[index] = top;
        var ids = result.TopTokenIds.AsSpan(index * result.TopStride, top);
        var values = result.TopLogprobs.AsSpan(index * result.TopStride, top);
        LogitRow.Top(row, ids, values);
        foreach (ref var value in values)
        {
            value = (float)(value - normaliser);
        }
    }

    private int Choose(ReadOnlySpan<float> row, float rawMax, SlotSampling slot, int position)
    {
        var max = rawMax;
        if (slot.ChangesLogits)
        {
            row.CopyTo(_logits);
            slot.Apply(_logits, position);
            row = _logits;
            max = LogitRow.Max(row);
            if (!float.IsFinite(max))
            {
                return StepResult.Failed;
            }
        }

        return slot.Options.IsGreedy ? row.IndexOf(max) : Draw(row, max, slot, position);
    }

    private int Draw(ReadOnlySpan<float> row, float max, SlotSampling slot, int position)
    {
        var options = slot.Options;
        var total = LogitRow.Exponentials(row, max, 1f / options.Temperature, _weights);
        var uniform = SeededNoise.Uniform(options.Seed, position);

        // Weights are relative to the most likely token, whose weight is 1: min-p is a bar on them.
        if (options.TopK == 0 && options.TopP >= 1f)
        {
            return DrawAll(total, options.MinP, uniform);
        }

        var (count, mass) = Collect(options.TopK, options.TopP, options.MinP);
        return DrawFirst(count, mass, uniform);
    }

    private int DrawAll(double total, float minP, double uniform)
    {
        if (minP > 0)
        {
            total = 0;
            foreach (var weight in _weights)
            {
                total += weight >= minP ? weight : 0;
            }
        }

        var target = uniform * total;
        var sum = 0.0;
        var last = StepResult.Failed;
        for (var id = 0; id < _weights.Length; id++)
        {
            var weight = _weights[id];
            if (weight > 0 && weight >= minP)
            {
                sum += weight;
                last = id;
                if (sum > target)
                {
                    break;
                }
            }
        }

        return last;
    }

    // Ranks the likeliest tokens and keeps those that top-k and top-p leave; returns how many, and their weight.
    private (int Count, double Mass) Collect(int topK, float topP, float minP)
    {
        var eligible = 0.0;
        if (topK == 0)
        {
            foreach (var weight in _weights)
            {
                eligible += weight >= minP ? weight : 0;
            }
        }

        var bar = FirstBar;
        while (true)
        {
            var (count, mass) = Above(Math.Max(bar, minP));
            var enough = bar <= minP || bar == 0f || (topK > 0 ? count >= topK : mass >= topP * eligible);
            if (enough)
            {
                _candidates.AsSpan(0, count).Sort();
                return Keep(topK > 0 ? Math.Min(topK, count) : count, topK > 0 ? null : eligible, topP);
            }

            bar = bar < 1e-30f ? 0f : bar * FirstBar;
        }
    }

    private (int Count, double Mass) Above(float bar)
    {
        var count = 0;
        var mass = 0.0;
        var lowest = Math.Max(bar, float.Epsilon);
        for (var id = 0; id < _weights.Length; id++)
        {
            // Nearly every vector of a large vocabulary lies wholly below the bar.
            while (id + Vector512<float>.Count <= _weights.Length
                   && !Vector512.GreaterThanOrEqualAny(Vector512.LoadUnsafe(in _weights[id]), Vector512.Create(lowest)))
            {
                id += Vector512<float>.Count;
            }

            var weight = id < _weights.Length ? _weights[id] : 0f;
            if (weight >= lowest)
            {
                // Positive floats order as their bits do: complemented, likelier tokens come first, and lower ids among equals.
                _candidates[count++] = ((ulong)~BitConverter.SingleToUInt32Bits(weight) << 32) | (uint)id;
                mass += weight;
            }
        }

        return (count, mass);
    }

    private (int Count, double Mass) Keep(int count, double? eligible, float topP)
    {
        if (eligible is not { } total)
        {
            total = 0;
            for (var i = 0; i < count; i++)
            {
                total += Weight(i);
            }
        }

        var mass = 0.0;
        for (var i = 0; i < count; i++)
        {
            mass += Weight(i);
            if (topP < 1f && mass >= topP * total)
            {
                return (i + 1, mass);
            }
        }

        return (count, mass);
    }

    private int DrawFirst(int count, double mass, double uniform)
    {
        var target = uniform * mass;
        var sum = 0.0;
        for (var i = 0; i < count; i++)
        {
            sum += Weight(i);
            if (sum > target)
            {
                return (int)(uint)_candidates[i];
            }
        }

        return (int)(uint)_candidates[count - 1];
    }

    private float Weight(int rank) => BitConverter.UInt32BitsToSingle(~(uint)(_candidates[rank] >> 32));
}
