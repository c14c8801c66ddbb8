using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Health;

/// <summary>The server's way to its end: refuse what is new, let live requests finish, end what is left. Thread-safe.</summary>
/// <remarks>
/// The order for a host on SIGTERM: <see cref="Begin"/> (health turns NOT_SERVING at once, new calls get UNAVAILABLE, the listener
/// stays open); wait for <see cref="WaitForRequestsAsync"/>; <see cref="EndRequests"/> for the rest and wait again shortly,
/// so that each gets its terminal event; only then stop the listener.
/// </remarks>
public sealed class ServerDrain
{
    private readonly ModelCatalog _catalog;
    private readonly LiveRequests _live;
    private readonly HealthReporter _health;
    private readonly TimeProvider _time;
    private volatile bool _draining;

    internal ServerDrain(ModelCatalog catalog, LiveRequests live, HealthReporter health, TimeProvider time)
    {
        _catalog = catalog;
        _live = live;
        _health = health;
        _time = time;
    }

    /// <summary>Whether new requests are refused.</summary>
    public bool IsDraining => _draining;

    /// <summary>Requests whose calls have not ended.</summary>
    public int LiveRequestCount => _live.Count;

    /// <summary>Refuses new requests from now on and tells health watchers. Cannot be taken back; safe to call again.</summary>
    public void Begin()
    {
        _draining = true;
        _health.BeginDrain();
    }

    /// <summary>Waits until the calls of all live requests have ended.</summary>
    /// <returns>Whether they had before the time was over.</returns>
    public async Task<bool> WaitForRequestsAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        Task idle = _live.WhenIdleAsync();
        try
        {
            await idle.WaitAsync(limit, _time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Ends every live request; its stream gets the terminal event of a drained server.</summary>
    /// <returns>How many there were.</returns>
    public int EndRequests() => _live.EndAll(FinishReason.Drained);

    /// <summary>Ends the streams of engines that are stuck in a step and do not hear of <see cref="EndRequests"/>; they fail.</summary>
    /// <returns>How many engines there were.</returns>
    public int GiveUpStuckSteps()
    {
        int count = _catalog.Models.SelectMany(model => model.Replicas.Replicas)
            .Count(replica => replica.Status.Running > 0 && replica.GiveUpStep("the server stopped while a step did not return"));
        _health.Refresh();
        return count;
    }
}
