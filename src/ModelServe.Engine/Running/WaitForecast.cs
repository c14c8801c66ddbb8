using System.Globalization;
using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Refuses at once what would still wait when its deadline passes, by the rate at which the queue is seen to move.</summary>
/// <remarks>
/// Says nothing while too little has been measured, when nobody waits, and of requests that are put before others of their
/// tenant. Pure but for the measure it reads; any thread.
/// </remarks>
internal static class WaitForecast
{
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(60);

    /// <summary>Why a request need not wait, or null.</summary>
    /// <param name="request">The request.</param>
    /// <param name="tokensAhead">Prompt tokens that leave the queue before it.</param>
    /// <param name="tokensPerSecond">The queue's measured rate; null when unknown.</param>
    /// <param name="now">This moment.</param>
    public static Rejection? Refusal(GenerationRequest request, long tokensAhead, double? tokensPerSecond, DateTimeOffset now)
    {
        if (request.Deadline is not { } deadline || tokensPerSecond is not > 0 || tokensAhead <= 0
            || request.Priority > 0 || request.Tier > ServiceTier.Default)
        {
            return null;
        }

        var left = deadline - now;
        var wait = TimeSpan.FromSeconds(Math.Min(tokensAhead / tokensPerSecond.Value, TimeSpan.FromDays(1).TotalSeconds));
        if (wait <= left)
        {
            return null;
        }

        var retry = wait - left;
        return new Rejection(
            RejectionReason.WaitTooLong,
            "deadline",
            string.Create(CultureInfo.InvariantCulture, $"later than the {wait.TotalSeconds:0.0} s that the queue takes now"),
            string.Create(CultureInfo.InvariantCulture, $"{left.TotalSeconds:0.0} s"))
        {
            RetryAfter = retry < LongestRetry ? retry : LongestRetry,
        };
    }
}
