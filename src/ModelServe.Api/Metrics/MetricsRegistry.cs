using ModelServe.Api.Models;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Metrics;

/// <summary>The counts of every served model, made once at start. Thread-safe.</summary>
internal sealed class MetricsRegistry
{
    private readonly ModelCatalog _catalog;
    private readonly Dictionary<string, ModelMetrics> _byModel;
    private long _withoutModel;

    /// <summary>Empty counts for every model of the catalog.</summary>
    public MetricsRegistry(ModelCatalog catalog)
    {
        _catalog = catalog;
        _byModel = catalog.Models.ToDictionary(model => model.Name, _ => new ModelMetrics(), StringComparer.Ordinal);
    }

    /// <summary>The counts of one model of the catalog.</summary>
    public ModelMetrics Of(ServedModel model) => _byModel[model.Name];

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
