using ModelServe.Api.Models;
using ModelServe.Engine.Running;

namespace ModelServe.Api.Health;

/// <summary>Whether a model can serve, as its engine's counts show it.</summary>
internal enum ModelCondition
{
    /// <summary>Takes requests.</summary>
    Serving,

    /// <summary>Finishes what it has and takes nothing new.</summary>
    Draining,

    /// <summary>Takes requests and stands still by an operator's order.</summary>
    Paused,

    /// <summary>Failed; takes nothing any more.</summary>
    Failed,

    /// <summary>Holds running requests and has completed no step for too long.</summary>
    Stalled,
}

/// <summary>Reads a model's condition; liveness is progress, not an open port.</summary>
internal static class ModelConditions
{
    /// <summary>The condition at this moment.</summary>
    public static ModelCondition Of(ServedModel model, TimeSpan stallLimit, DateTimeOffset now)
    {
        EngineStatus status = model.Engine.Status;
        if (status.Failure is not null)
        {
            return ModelCondition.Failed;
        }

        if (status.Pause != PauseMode.None)
        {
            return status.Draining ? ModelCondition.Draining : ModelCondition.Paused;
        }

        if (status.Running > 0 && now - status.LastProgress > stallLimit)
        {
            return ModelCondition.Stalled;
        }

        return status.Draining ? ModelCondition.Draining : ModelCondition.Serving;
    }
}
