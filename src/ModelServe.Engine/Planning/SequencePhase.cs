namespace ModelServe.Engine.Planning;

/// <summary>Where a sequence stands; it moves forward, except from running back to waiting by preemption.</summary>
internal enum SequencePhase
{
    /// <summary>Admitted, not yet seen by the engine thread.</summary>
    Arriving = 0,

    /// <summary>In the waiting queue; holds no slot and no block.</summary>
    Waiting,

    /// <summary>Holds a slot and blocks.</summary>
    Running,

    /// <summary>Over; holds nothing.</summary>
    Ended,
}
