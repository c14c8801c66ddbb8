using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Prompt and output tokens of one sequence: the engine thread appends, one reader copies what was published.</summary>
/// <remarks>
/// Entries are written once and never move inside an array; a larger array replaces a full one after it was filled.
/// The release of <see cref="Publish"/> orders entries and array references before the count that makes them visible.
/// The reader's acquire of that count therefore sees both, without a lock. That nothing follows is told in the same word as the count:
/// a reader that looks at any moment finds the last token and the ending together, or neither.
/// </remarks>
internal sealed class OutputLog
{
    private const int FirstOutputs = 4096;

    private readonly int _promptLength;
    private readonly int _limit;
    private readonly int _topCount;
    private readonly bool _hasLogprobs;
    private int[] _tokens;
    private float[] _logprobs = [];
    private int[] _topCounts = [];
    private int[] _topTokenIds = [];
    private float[] _topLogprobs = [];
    private PromptLogprobs? _publishedScores;
    private bool _scoresRead;
    private int _count;
    private int _published;
    private int _read;

    /// <summary>Makes a log that starts with the prompt.</summary>
    /// <param name="request">Gives prompt, MaxTokens and whether logprobs are kept.</param>
    /// <param name="maxModelLength">Longest sequence.</param>
    public OutputLog(GenerationRequest request, int maxModelLength)
    {
        _promptLength = request.PromptTokenIds.Length;
        _limit = (int)Math.Min((long)_promptLength + request.MaxTokens, maxModelLength);
        _hasLogprobs = request.Sampling.TopLogprobs is not null;
        _topCount = request.Sampling.TopLogprobs ?? 0;
        Scoring = request.Sampling.PromptLogprobs is { } wanted ? new PromptScoring(_promptLength, wanted) : null;
        _tokens = new int[Math.Min(_limit, _promptLength + FirstOutputs)];
        request.PromptTokenIds.Span.CopyTo(_tokens);
        _count = _published = _read = _promptLength;
    }

    /// <summary>Tokens known to the engine thread.</summary>
    public int Count => _count;

    /// <summary>Log probabilities of the prompt as they come; null where none are wanted. Engine thread.</summary>
    public PromptScoring? Scoring { get; }

    /// <summary>Whether something was published that was not read. Reader's side.</summary>
    public bool HasUnread => CountOf(Volatile.Read(ref _published)) > _read;

    /// <summary>Whether all was published that there will be. Any thread.</summary>
    public bool IsComplete => Volatile.Read(ref _published) < 0;

    /// <summary>All known tokens; earlier entries never change. Engine thread.</summary>
    public ReadOnlyMemory<int> Tokens => _tokens.AsMemory(0, _count);

    /// <summary>Copies known tokens from a position on. Engine thread.</summary>
    public void CopyTokens(int position, Span<int> target)
    {
        if (target.Length == 1)
        {
            target[0] = _tokens[position];
        }
        else
        {
            _tokens.AsSpan(position, target.Length).CopyTo(target);
        }
    }

    /// <summary>Appends entry <paramref name="row"/> of a result. Engine thread; invisible to the reader until published.</summary>
    public void Append(StepResult result, int row)
    {
        if (_count == _tokens.Length)
        {
            Array.Resize(ref _tokens, Math.Min(_limit, _count * 2));
        }

        if (_hasLogprobs)
        {
            AppendLogprobs(result, row, _count - _promptLength);
        }

        _tokens[_count++] = result.TokenIds[row];
    }

    /// <summary>Makes all appended entries visible to the reader. Engine thread.</summary>
    /// <param name="isLast">Whether nothing follows.</param>
    public void Publish(bool isLast = false)
    {
        if (Scoring is not null)
        {
            _publishedScores = Scoring.Result;
        }

        if (_published >= 0)
        {
            Volatile.Write(ref _published, isLast ? ~_count : _count);
        }
    }

    /// <summary>Appends everything published and unread to <paramref name="delta"/>. Reader's side.</summary>
    /// <returns>Whether nothing follows.</returns>
    public bool TakeInto(TokenDelta delta)
    {
        var word = Volatile.Read(ref _published);
        var published = CountOf(word);
        if (!_scoresRead && _publishedScores is { } scores)
        {
            _scoresRead = true;
            delta.PromptLogprobs = scores;
        }

        delta.TokenIds.AddRange(_tokens.AsSpan(_read, published - _read));
        if (_hasLogprobs)
        {
            for (var output = _read - _promptLength; output < published - _promptLength; output++)
            {
                delta.Logprobs.Add(_logprobs[output]);
                delta.TopCounts.Add(_topCounts[output]);
                delta.TopTokenIds.AddRange(_topTokenIds.AsSpan(output * _topCount, _topCounts[output]));
                delta.TopLogprobs.AddRange(_topLogprobs.AsSpan(output * _topCount, _topCounts[output]));
            }
        }

        _read = published;
        return word < 0;
    }

    /// <summary>The count in a published word, which is negative once nothing follows.</summary>
    private static int CountOf(int word) => word < 0 ? ~word : word;

    private void AppendLogprobs(StepResult result, int row, int output)
    {
        if (output == _logprobs.Length)
        {
            var size = Math.Min(_limit - _promptLength, Math.Max(64, output * 2));
            Array.Resize(ref _logprobs, size);
            Array.Resize(ref _topCounts, size);
            Array.Resize(ref _topTokenIds, size * _topCount);
            Array.Resize(ref _topLogprobs, size * _topCount);
        }

        var count = Math.Min(result.TopCounts[row], _topCount);
        _logprobs[output] = result.Logprobs[row];
        _topCounts[output] = count;
        result.TopTokenIds.AsSpan(row * result.TopStride, count).CopyTo(_topTokenIds.AsSpan(output * _topCount));
        result.TopLogprobs.AsSpan(row * result.TopStride, count).CopyTo(_topLogprobs.AsSpan(output * _topCount));
    }
}
