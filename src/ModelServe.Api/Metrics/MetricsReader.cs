using ModelServe.Api.Health;
using ModelServe.Api.Models;

namespace ModelServe.Api.Metrics;

/// <summary>Takes the counts of this moment, for whoever shows them. Any thread; the engine threads are not disturbed.</summary>
internal sealed class MetricsReader(
    ModelCatalog catalog, MetricsRegistry metrics, ServerDrain drain, HealthReporter health, TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();

    /// <summary>The counts of every engine, in the catalog's order and by number within a model.</summary>
    public IReadOnlyList<ModelReading> ReadModels()
    {
        DateTimeOffset now = time.GetUtcNow();
        return
        [
            .. catalog.Models.SelectMany(model => model.Replicas.Replicas.Select((engine, number) => new ModelReading(
                model, number, engine.Status, metrics.Of(model, number), health.Condition(engine), now))),
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
