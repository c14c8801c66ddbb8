using System.Collections.Concurrent;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>The counts of every engine of every served model, from the first time it is asked for; a name that comes back goes on counting. Thread-safe.</summary>
internal sealed class MetricsRegistry(ModelCatalog catalog, ServerMeter meter)
{
    private readonly ConcurrentDictionary<(string Model, int Replica), ModelMetrics> _byEngine = [];
    private readonly ConcurrentDictionary<string, GenAiMetrics> _genAi = new(StringComparer.Ordinal);
    private readonly ServerMeter _meter = meter;
    private long _withoutModel;

    /// <summary>Requests that named no model of the catalog.</summary>
    public long RejectedWithoutModel => Volatile.Read(ref _withoutModel);

    /// <summary>The counts of one engine of a model of the catalog.</summary>
    public ModelMetrics Of(ServedModel model, int replica) => _byEngine.GetOrAdd(
        (model.Name, replica),
        static (key, registry) => new ModelMetrics(key.Model, key.Replica, registry.GenAiOf(key.Model), registry._meter),
        this);

    /// <summary>A request was refused before it reached an engine.</summary>
    /// <param name="name">The model it named, if any.</param>
    /// <param name="reason">Why.</param>
    public void CountRejected(string name, RejectionReason reason)
    {
        if (catalog.TryFind(name, out ServedModel? model, out _))
        {
            // No engine has heard of it: it counts with the first.
            Of(model, 0).CountRejected(reason);
        }
        else
        {
            Interlocked.Increment(ref _withoutModel);
        }
    }

    private GenAiMetrics GenAiOf(string model) => _genAi.GetOrAdd(model, static (name, instruments) => new GenAiMetrics(name, instruments), _meter);
}
