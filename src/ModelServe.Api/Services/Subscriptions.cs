using System.Diagnostics.CodeAnalysis;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Services;

/// <summary>Bounds the calls that follow events, each of which costs a timer. Thread-safe.</summary>
internal sealed class Subscriptions
{
    /// <summary>Calls that may follow at once.</summary>
    public const int Limit = 256;

    private int _count;

    /// <summary>Enters one more.</summary>
    /// <param name="place">Disposed when the call ends.</param>
    /// <param name="rejection">Why not.</param>
    public bool TryEnter([NotNullWhen(true)] out IDisposable? place, [NotNullWhen(false)] out Rejection? rejection)
    {
        if (Interlocked.Increment(ref _count) > Limit)
        {
            Interlocked.Decrement(ref _count);
            place = null;
            rejection = new Rejection(RejectionReason.QueueFull, "subscriptions", $"at most {Limit} at once", "one more");
            return false;
        }

        place = new Place(this);
        rejection = null;
        return true;
    }

    /// <summary>The place of one call.</summary>
    private sealed class Place(Subscriptions owner) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0)
            {
                Interlocked.Decrement(ref owner._count);
            }
        }
    }
}
