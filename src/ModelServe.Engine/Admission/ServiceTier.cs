namespace ModelServe.Engine.Admission;

/// <summary>How much a request may be made to wait for others. Higher runs first and is turned away last.</summary>
public enum ServiceTier
{
    /// <summary>Takes what is left: turned away once the queue is half full, and first to give up its blocks.</summary>
    Flex = -1,

    /// <summary>The ordinary service.</summary>
    Default = 0,

    /// <summary>Before the ordinary service of the same tenant.</summary>
    Priority = 1,
}
