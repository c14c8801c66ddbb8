using ModelServe.Api.Health;
using ModelServe.Api.Models;

namespace ModelServe.Api.Metrics;

/// <summary>Takes the counts of this moment, for whoever shows them. Any thread; the engine threads are not disturbed.</summary>
internal sealed class MetricsReader(
    ModelCatalog catalog, MetricsRegistry metrics, ServerDrain drain, HealthReporter health, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    /// <summary>The counts of every model, in the catalog's order.</summary>
    public IReadOnlyList<ModelReading> ReadModels()
    {
        DateTimeOffset now = time.GetUtcNow();
        return
        [
            .. catalog.Models.Select(
                model => new ModelReading(model, model.Engine.Status, metrics.Of(model), health.Condition(model), now)),
        ];
    }

    /// <summary>The counts of the process.</summary>
    public ServerReading ReadServer() => new(
        metrics.RejectedWithoutModel,
        drain.LiveRequestCount,
        drain.IsDraining,
        Environment.CpuUsage.TotalTime.TotalSeconds,
        Environment.WorkingSet,
        GC.GetGCMemoryInfo(GCKind.Any).HeapSizeBytes,
        time.GetElapsedTime(_start).TotalSeconds);
}
