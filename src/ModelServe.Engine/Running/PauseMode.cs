namespace ModelServe.Engine.Running;

/// <summary>Whether an engine computes, and if not, what becomes of the requests that run.</summary>
public enum PauseMode
{
    /// <summary>It computes.</summary>
    None,

    /// <summary>Running requests go on to their end; waiting ones stay where they are.</summary>
    Wait,

    /// <summary>Running requests keep slots and blocks and stand still too.</summary>
    Keep,
}
