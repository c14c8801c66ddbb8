using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Gathers the log probabilities of one prompt as its portions are settled, each token's once.</summary>
/// <remarks>
/// Entries come in order of position and stay through preemption, so that what is known is neither computed nor sent again. Its memory,
/// taken with the first entry, is the prompt's length times the alternatives and two. Thread: the engine's.
/// </remarks>
internal sealed class PromptScoring
{
    private readonly int _length;
    private readonly int _wanted;
    private int _top;
    private float[] _logprobs = [];
    private int[] _ranks = [];
    private int[] _topTokenIds = [];
    private float[] _topLogprobs = [];
    private PromptLogprobs? _result;

    /// <summary>Knows nothing yet.</summary>
    /// <param name="promptLength">Tokens of the prompt; all but the first get an entry.</param>
    /// <param name="wanted">Alternatives of each.</param>
    public PromptScoring(int promptLength, int wanted)
    {
        _length = promptLength - 1;
        _wanted = wanted;
    }

    /// <summary>Entries known: as many leading positions need not be computed for their logits again.</summary>
    public int Count { get; private set; }

    /// <summary>Whether every entry is known.</summary>
    public bool IsComplete => Count == _length;

    /// <summary>Everything, once it is complete; null before.</summary>
    public PromptLogprobs? Result =>
        !IsComplete ? null : _result ??= new PromptLogprobs(_top, _logprobs, _ranks, _topTokenIds, _topLogprobs);

    /// <summary>Of the positions that a step feeds, those whose logits are still wanted.</summary>
    /// <param name="first">The first position fed.</param>
    /// <param name="end">The position behind the last.</param>
    /// <param name="from">The first one wanted.</param>
    /// <returns>How many from there on.</returns>
    public int Wanted(int first, int end, out int from)
    {
        from = Math.Max(first, Count);
        return Math.Max(0, Math.Min(end, _length) - from);
    }

    /// <summary>Takes the next entries.</summary>
    /// <returns>Whether all are numbers; else nothing more can come of the sequence.</returns>
    public bool Take(ScoredRows rows, int start, int count)
    {
        foreach (var logprob in rows.Logprobs.AsSpan(start, count))
        {
            if (!float.IsFinite(logprob))
            {
                return false;
            }
        }

        if (_logprobs.Length == 0)
        {
            _top = Math.Min(_wanted, rows.TopStride);
            _logprobs = new float[_length];
            _ranks = new int[_length];
            _topTokenIds = new int[_length * _top];
            _topLogprobs = new float[_length * _top];
        }

        rows.Logprobs.AsSpan(start, count).CopyTo(_logprobs.AsSpan(Count));
        rows.Ranks.AsSpan(start, count).CopyTo(_ranks.AsSpan(Count));
        for (var row = start; row < start + count; row++, Count++)
        {
            rows.TopTokenIds.AsSpan(row * rows.TopStride, _top).CopyTo(_topTokenIds.AsSpan(Count * _top));
            rows.TopLogprobs.AsSpan(row * rows.TopStride, _top).CopyTo(_topLogprobs.AsSpan(Count * _top));
        }

        return true;
    }
}
