using ModelServe.Api.Models;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Health;

/// <summary>Reads a model's condition; it is progress, not an open port.</summary>
internal static class ModelConditions
{
    // A model serves as long as one of its replicas does.
    private static readonly ModelCondition[] BestFirst =
        [ModelCondition.Serving, ModelCondition.Draining, ModelCondition.Paused, ModelCondition.Stalled, ModelCondition.Failed];

    /// <summary>The condition at this moment: that of the replica that is best off.</summary>
    public static ModelCondition Of(ServedModel model, TimeSpan stallLimit, DateTimeOffset now) =>
        BestFirst[model.Replicas.Replicas.Min(replica => Array.IndexOf(BestFirst, Of(replica, stallLimit, now)))];

    /// <summary>The condition of one replica at this moment.</summary>
    public static ModelCondition Of(IEngine replica, TimeSpan stallLimit, DateTimeOffset now)
    {
        EngineStatus status = replica.Status;
        if (status.Failure is not null)
        {
            return ModelCondition.Failed;
        }

        if (status.Pause != PauseMode.None)
        {
            return status.Draining ? ModelCondition.Draining : ModelCondition.Paused;
        }

        if (StandsStill(status, stallLimit, now))
        {
            return ModelCondition.Stalled;
        }

        return status.Draining ? ModelCondition.Draining : ModelCondition.Serving;
    }

    /// <summary>Whether an engine has work, was not told to pause, and has shown no sign of life for longer than a limit.</summary>
    public static bool StandsStill(EngineStatus status, TimeSpan limit, DateTimeOffset now) =>
        status.Running > 0 && status.Pause == PauseMode.None && now - status.LastProgress > limit;
}
