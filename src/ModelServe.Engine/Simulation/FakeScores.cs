using ModelServe.Engine.Running;

namespace ModelServe.Engine.Simulation;

/// <summary>What the fake executor says of prompt tokens: functions of the whole prefix and the token.</summary>
public static class FakeScores
{
    /// <summary>The log probability of a token behind a prefix.</summary>
    public static float LogprobOf(ReadOnlySpan<int> prefix, int target) =>
        (1 + (((FakeExecutor.HashOf(prefix) * 31) + (uint)target) % 1000)) / -256f;

    /// <summary>Fills a row: rank 1 for token 0, and the tokens from the target on as alternatives, each a nat below the one before.</summary>
    internal static void Fill(ScoredRows rows, int row, ReadOnlySpan<int> prefix, int target, int vocabularySize)
    {
        var logprob = LogprobOf(prefix, target);
        rows.Logprobs[row] = logprob;
        rows.Ranks[row] = 1 + target;
        for (var rank = 0; rank < rows.TopStride; rank++)
        {
            rows.TopTokenIds[(row * rows.TopStride) + rank] = (target + rank) % vocabularySize;
            rows.TopLogprobs[(row * rows.TopStride) + rank] = logprob - rank;
        }
    }
}
