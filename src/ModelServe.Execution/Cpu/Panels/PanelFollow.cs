namespace ModelServe.Execution.Cpu.Panels;

/// <summary>What product is expected next, and how it will be divided.</summary>
internal struct PanelFollow
{
    /// <summary>The product, with the rows of one group; without weights where none is known.</summary>
    public PanelProductArguments Product;

    /// <summary>Its division; no shares where none is known.</summary>
    public PanelCut Cut;
}
