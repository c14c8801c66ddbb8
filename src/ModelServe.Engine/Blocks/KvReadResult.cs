namespace ModelServe.Engine.Blocks;

/// <summary>What a reader of <see cref="KvEventLog"/> got.</summary>
public enum KvReadResult
{
    /// <summary>The event.</summary>
    Read,

    /// <summary>Nothing: the event has not happened yet.</summary>
    NotYet,

    /// <summary>Nothing: newer events have overwritten it.</summary>
    Lost,
}
