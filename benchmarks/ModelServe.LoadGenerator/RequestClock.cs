using System.Diagnostics;

namespace ModelServe.LoadGenerator;

/// <summary>Times of one request: its first token, the gaps between its tokens, its end; and what the server's cache had of it. Allocates nothing while it runs.</summary>
internal sealed class RequestClock(int outputTokens)
{
    private readonly double[] _gaps = new double[outputTokens];
    private int _gapCount;
    private long _start;
    private long _last;

    /// <summary>Tokens asked for.</summary>
    public int Capacity => _gaps.Length;

    /// <summary>Tokens received.</summary>
    public int Tokens { get; private set; }

    /// <summary>Prompt tokens that the server says its prefix cache had; null where it was not asked.</summary>
    public int? CachedTokens { get; set; }

    /// <summary>From the start to the first token.</summary>
    public double FirstTokenSeconds { get; private set; }

    /// <summary>From the start to the end.</summary>
    public double TotalSeconds { get; private set; }

    /// <summary>Why the request failed, or null.</summary>
    public string? Failure { get; private set; }

    /// <summary>Between tokens; tokens of one message share the time since the one before.</summary>
    public ReadOnlySpan<double> Gaps => _gaps.AsSpan(0, _gapCount);

    /// <summary>The request is sent.</summary>
    public void Start() => _start = Stopwatch.GetTimestamp();

    /// <summary>A message brought so many tokens.</summary>
    public void Receive(int count)
    {
        long now = Stopwatch.GetTimestamp();
        if (Tokens == 0)
        {
            FirstTokenSeconds = Stopwatch.GetElapsedTime(_start, now).TotalSeconds;
        }
        else
        {
            double gap = Stopwatch.GetElapsedTime(_last, now).TotalSeconds / count;
            for (int i = 0; i < count && _gapCount < _gaps.Length; i++)
            {
                _gaps[_gapCount++] = gap;
            }
        }

        Tokens += count;
        _last = now;
    }

    /// <summary>The request has ended.</summary>
    public void End(string? failure)
    {
        TotalSeconds = Stopwatch.GetElapsedTime(_start).TotalSeconds;
        Failure = failure ?? (Tokens == _gaps.Length ? null : $"{_gaps.Length} tokens; got {Tokens}");
    }
}
