using System.Globalization;
using Grpc.Core;

namespace ModelServe.Client;

/// <summary>When a client tries a refused request again. Immutable.</summary>
/// <remarks>
/// Only where the server said so by its retry pushback, and only while no message of the answer has arrived: a request that
/// was accepted is never sent twice.
/// </remarks>
public sealed record RetryOptions
{
    private const string PushbackTrailer = "grpc-retry-pushback-ms";
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(25);

    /// <summary>Never again.</summary>
    public static RetryOptions None { get; } = new() { MaxAttempts = 1 };

    /// <summary>Times that a request is sent at most, at least 1.</summary>
    public int MaxAttempts { get; init; } = 4;

    /// <summary>Longest time that a server may ask to wait; a longer one is not waited for.</summary>
    public TimeSpan MaxDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long to wait before the next attempt; null for no next attempt.</summary>
    /// <param name="exception">What the attempt ended with.</param>
    /// <param name="attempt">Number of the attempt, from 1.</param>
    /// <param name="left">Time until the request's deadline; null without one.</param>
    internal TimeSpan? DelayAfter(RpcException exception, int attempt, TimeSpan? left)
    {
        string? text = exception.Trailers.GetValue(PushbackTrailer);
        if (attempt >= MaxAttempts
            || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int milliseconds))
        {
            return null;
        }

        // "At once" is meant for a balancer that has another server to go to; the same server is given a moment more each time.
        TimeSpan least = ShortestWait * (1 << Math.Min(attempt - 1, 8));
        TimeSpan wait = TimeSpan.FromMilliseconds(milliseconds);
        wait = wait > least ? wait : least;
        return wait > MaxDelay || wait >= left ? null : wait;
    }
}
