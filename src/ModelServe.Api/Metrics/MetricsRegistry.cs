using System.Collections.Concurrent;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>The counts of every served model, from the first time it is asked for; a name that comes back goes on counting. Thread-safe.</summary>
internal sealed class MetricsRegistry(ModelCatalog catalog, ServerMeter meter)
{
    private readonly ConcurrentDictionary<string, ModelMetrics> _byModel = new(StringComparer.Ordinal);
    private long _withoutModel;

    /// <summary>Requests that named no model of the catalog.</summary>
    public long RejectedWithoutModel => Volatile.Read(ref _withoutModel);

    /// <summary>The counts of one model of the catalog.</summary>
    public ModelMetrics Of(ServedModel model) =>
        _byModel.GetOrAdd(model.Name, static (name, instruments) => new ModelMetrics(name, instruments), meter);

    /// <summary>A request was refused before it reached an engine.</summary>
    /// <param name="name">The model it named, if any.</param>
    /// <param name="reason">Why.</param>
    public void CountRejected(string name, RejectionReason reason)
    {
        if (catalog.TryFind(name, out ServedModel? model, out _))
        {
            Of(model).CountRejected(reason);
        }
        else
        {
            Interlocked.Increment(ref _withoutModel);
        }
    }
}
