namespace ModelServe.Execution.Cpu.Panels;

/// <summary>What product came after one the last time: a model's steps repeat, so that it will come again, and its weights can be on their way.</summary>
/// <remarks>The companion of a weight in panels. A wrong guess fetches some kilobytes in vain.</remarks>
internal sealed class PanelFollower
{
    /// <summary>The product; without weights as long as none is known.</summary>
    public PanelProductArguments Next { get; set; }
}
