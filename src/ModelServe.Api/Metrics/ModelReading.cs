using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Metrics;

/// <summary>What one engine of a model shows at one moment.</summary>
/// <param name="Model">The model.</param>
/// <param name="Replica">Number of the engine among the model's.</param>
/// <param name="Status">Its counts.</param>
/// <param name="Metrics">What its requests did.</param>
/// <param name="Condition">Whether it serves.</param>
/// <param name="Now">The moment.</param>
internal sealed record ModelReading(
    ServedModel Model, int Replica, EngineStatus Status, ModelMetrics Metrics, ModelCondition Condition, DateTimeOffset Now)
{
    /// <summary>Label pairs that every sample of the engine carries.</summary>
    public string Labels { get; } = $"model_name=\"{Model.Name}\",engine=\"{Replica}\"";

    /// <summary>Its sizes.</summary>
    public ExecutorGeometry Geometry => Model.Replicas.Replicas[Replica].Geometry;

    /// <summary>Share of key-value blocks in use, 0 to 1.</summary>
    public double BlockUse => Status.BlockCount == 0 ? 0 : (double)Status.BlocksInUse / Status.BlockCount;
}
