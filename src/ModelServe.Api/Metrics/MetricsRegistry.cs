using System.Collections.Concurrent;
using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>The counts of every model that was ever served here, by name; one loaded again goes on counting. Thread-safe.</summary>
internal sealed class MetricsRegistry
{
    private readonly ModelCatalog _catalog;
    private readonly ConcurrentDictionary<string, ModelMetrics> _byModel = new(StringComparer.Ordinal);
    private long _withoutModel;

    /// <summary>Empty counts.</summary>
    public MetricsRegistry(ModelCatalog catalog) => _catalog = catalog;

    /// <summary>The counts of one model of the catalog.</summary>
    public ModelMetrics Of(ServedModel model) => _byModel.GetOrAdd(model.Name, static _ => new ModelMetrics());

    /// <summary>Requests that named no model of the catalog.</summary>
    public long RejectedWithoutModel => Volatile.Read(ref _withoutModel);

    /// <summary>A request was refused before it reached an engine.</summary>
    /// <param name="name">The model it named, if any.</param>
    /// <param name="reason">Why.</param>
    public void CountRejected(string name, RejectionReason reason)
    {
        if (_catalog.TryFind(name, out ServedModel? model, out _))
        {
            Of(model).CountRejected(reason);
        }
        else
        {
            Interlocked.Increment(ref _withoutModel);
        }
    }
}
