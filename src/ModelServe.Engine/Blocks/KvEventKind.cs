namespace ModelServe.Engine.Blocks;

/// <summary>What happened to the prefix cache.</summary>
public enum KvEventKind
{
    /// <summary>A full block can be found by its tokens from now on.</summary>
    Stored,

    /// <summary>A block's content is about to be overwritten and cannot be found any more.</summary>
    Removed,

    /// <summary>Every block was forgotten.</summary>
    Cleared,
}
