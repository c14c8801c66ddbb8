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
