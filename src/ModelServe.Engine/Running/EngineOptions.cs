using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace ModelServe.Engine.Running;

/// <summary>Limits and choices of one engine. Immutable; checked when an engine is made from it.</summary>
public sealed record EngineOptions
{
    /// <summary>Requests that may wait for their first slot, at least 1.</summary>
    public int MaxQueuedRequests { get; init; } = 1024;

    /// <summary>Prompt tokens that may wait for their first slot, at least 1; a longer prompt passes when nothing else waits.</summary>
    public long MaxQueuedTokens { get; init; } = 1 << 20;

    /// <summary>When a client that met a full queue is told to try again.</summary>
    public TimeSpan QueueRetryAfter { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whether blocks of equal prefixes and equal salt are shared.</summary>
    public bool EnablePrefixCaching { get; init; } = true;

    /// <summary>Changes of the prefix cache that are kept for readers; 0 keeps none.</summary>
    public int KvEventCapacity { get; init; } = 16 * 1024;

    /// <summary>Most tokens that one sequence feeds in a step, so that a long prompt does not hold up the others; 0 has no such limit.</summary>
    public int ChunkTokens { get; init; }

    /// <summary>Most prompt tokens that a step feeds, over all sequences, while one of them generates; 0 has no such limit.</summary>
    /// <remarks>It bounds how much a prompt that arrives stretches the time between the tokens of those that are being answered.</remarks>
    public int MixedPrefillTokens { get; init; }

    /// <summary>
    /// About how many times as long a step may take with prompt tokens as it would without, while a sequence generates, by what steps took so
    /// far; until enough have run <see cref="MixedPrefillTokens"/> is the limit. 0 leaves it at that one.
    /// </summary>
    /// <remarks>
    /// It bounds the slowest times between the tokens of those that are being answered by their usual time: what it adds to a step is four
    /// tenths of that where most steps have no prompt tokens, and up to fourteen tenths where all have.
    /// </remarks>
    public double PrefillStretch { get; init; }

    /// <summary>A step that takes no longer than this holds up nobody, however short it would be without prompt tokens.</summary>
    public TimeSpan BriefStep { get; init; } = TimeSpan.FromMilliseconds(8);

    /// <summary>How long a prompt is fed before its portions grow, in proportion to its time since then.</summary>
    public TimeSpan PrefillPatience { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Preemptions after which a sequence is passed over while another can go, at least 1.</summary>
    public int MaxPreemptions { get; init; } = 4;

    /// <summary>Age after which a sequence is passed over while another can go.</summary>
    public TimeSpan PreemptionAgeLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether slots and blocks are counted whenever the engine falls idle, and rebuilt if some are missing.</summary>
    public bool CheckWhenIdle { get; init; } = true;

    /// <summary>Secret of the prefix hash; random for each record that does not set it, so that no client can aim for collisions.</summary>
    /// <remarks>Internal, so that no log that prints the options prints it.</remarks>
    internal UInt128 PrefixHashKey { get; init; } =
        MemoryMarshal.Read<UInt128>(RandomNumberGenerator.GetBytes(sizeof(ulong) * 2));

    /// <summary>Checks every value on its own and against the executor's sizes.</summary>
    /// <exception cref="ArgumentException">A value is out of range; the message names option, limit and value.</exception>
    public void Validate(ExecutorGeometry geometry)
    {
        Require(MaxQueuedRequests is >= 1 and < 1 << 22, nameof(MaxQueuedRequests), "1..4194303", MaxQueuedRequests);
        Require(MaxQueuedTokens is >= 1 and <= 1L << 38, nameof(MaxQueuedTokens), "1..274877906944", MaxQueuedTokens);
        Require(QueueRetryAfter > TimeSpan.Zero, nameof(QueueRetryAfter), "more than zero", QueueRetryAfter);
        Require(KvEventCapacity is >= 0 and <= 1 << 24, nameof(KvEventCapacity), "0..16777216", KvEventCapacity);
        Require(ChunkTokens >= 0 && ChunkTokens <= geometry.MaxBatchedTokens, nameof(ChunkTokens), $"0..{geometry.MaxBatchedTokens}", ChunkTokens);
        Require(MixedPrefillTokens >= 0, nameof(MixedPrefillTokens), "at least 0", MixedPrefillTokens);
        Require(PrefillStretch is 0 or (>= 1.05 and <= 1000), nameof(PrefillStretch), "0 or 1.05..1000", PrefillStretch);
        Require(BriefStep >= TimeSpan.Zero, nameof(BriefStep), "at least zero", BriefStep);
        Require(PrefillPatience > TimeSpan.Zero, nameof(PrefillPatience), "more than zero", PrefillPatience);
        Require(MaxPreemptions >= 1, nameof(MaxPreemptions), "at least 1", MaxPreemptions);
        Require(PreemptionAgeLimit > TimeSpan.Zero, nameof(PreemptionAgeLimit), "more than zero", PreemptionAgeLimit);
        Require(geometry.VocabularySize >= 1, nameof(geometry.VocabularySize), "at least 1", geometry.VocabularySize);
        Require(geometry.MaxModelLength >= 2, nameof(geometry.MaxModelLength), "at least 2", geometry.MaxModelLength);
        Require(
            geometry.BlockTokens >= 2 && geometry.BlockTokens % 2 == 0, nameof(geometry.BlockTokens), "even, at least 2", geometry.BlockTokens);
        Require(geometry.BlockCount >= 2, nameof(geometry.BlockCount), "at least 2", geometry.BlockCount);
        Require(geometry.MaxSequences >= 1, nameof(geometry.MaxSequences), "at least 1", geometry.MaxSequences);
        Require(geometry.MaxBatchedTokens >= 1, nameof(geometry.MaxBatchedTokens), "at least 1", geometry.MaxBatchedTokens);
        Require(geometry.MaxTopLogprobs >= 0, nameof(geometry.MaxTopLogprobs), "at least 0", geometry.MaxTopLogprobs);
    }

    private static void Require(bool holds, string name, string limit, object value)
    {
        if (!holds)
        {
            throw new ArgumentException($"{name} must be {limit}; got {value}", name);
        }
    }
}
