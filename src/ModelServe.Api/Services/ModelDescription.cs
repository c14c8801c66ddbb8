using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Running;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>A served model as clients see it. Thread-safe.</summary>
internal sealed class ModelDescription(HealthReporter health)
{
    /// <summary>Describes whatever is known of a name.</summary>
    public Model Of(CatalogEntry entry) => entry.Stage == CatalogStage.Served
        ? Of(entry.Model!)
        : new Model { Name = entry.Name, State = State(entry) };

    /// <summary>How a name stands.</summary>
    public ModelState State(CatalogEntry entry) => entry.Stage switch
    {
        CatalogStage.Served => State(health.Condition(entry.Model!)),
        CatalogStage.Loading => ModelState.Loading,
        CatalogStage.Unloading => ModelState.Unloading,
        CatalogStage.Unloaded => ModelState.Unloaded,
        _ => throw new ArgumentOutOfRangeException(nameof(entry), entry.Stage, "a stage without a wire name"),
    };

    /// <summary>Describes a model with the counts of this moment.</summary>
    public Model Of(ServedModel model)
    {
        ExecutorGeometry geometry = model.Engine.Geometry;
        EngineStatus status = model.Engine.Status;
        var description = new Model
        {
            Name = model.Name,
            State = State(health.Condition(model)),
            ContextTokens = model.ContextTokens,
            VocabularySize = model.VocabularySize,
            Chat = model.Text.HasChatTemplate,
            Defaults = RequestReader.Defaults(model),
            Capacity = new Capacity
            {
                BlockTokens = geometry.BlockTokens,
                // The null block is never rented.
                Blocks = geometry.BlockCount - 1,
                MaxRunning = geometry.MaxSequences,
                MaxBatchedTokens = geometry.MaxBatchedTokens,
                Engines = model.Replicas.Replicas.Count,
            },
            Load = new Load
            {
                Running = status.Running,
                Waiting = status.Waiting,
                WaitingTokens = status.WaitingTokens,
                BlocksInUse = status.BlocksInUse,
                Steps = status.Steps,
                PromptTokens = status.PromptTokens,
                GeneratedTokens = status.GeneratedTokens,
                Preemptions = status.Preemptions,
            },
        };
        foreach (int id in model.Text.StopTokenIds)
        {
            description.StopTokenIds.Add((uint)id);
        }

        return description;
    }

    private static ModelState State(ModelCondition condition) => condition switch
    {
        ModelCondition.Serving => ModelState.Serving,
        ModelCondition.Draining => ModelState.Draining,
        ModelCondition.Failed => ModelState.Failed,
        ModelCondition.Stalled => ModelState.Stalled,
        ModelCondition.Paused => ModelState.Paused,
        _ => throw new ArgumentOutOfRangeException(nameof(condition), condition, "a condition without a wire name"),
    };
}
