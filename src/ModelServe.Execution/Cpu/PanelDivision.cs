namespace ModelServe.Execution.Cpu;

/// <summary>One product with weights in panels, as the threads that share it see it.</summary>
internal unsafe struct PanelDivision
{
    /// <summary>The product.</summary>
    public PanelProductArguments Product;

    /// <summary>How its activations are normalised; without a residual, they are <see cref="PanelProductArguments.X"/>.</summary>
    public PanelNormArguments Norm;

    /// <summary>How it is divided.</summary>
    public PanelCut Cut;

    /// <summary>Which units are whose.</summary>
    public PartShares Shares;

    /// <summary>Which groups are ready to be multiplied.</summary>
    public PreparedGroups Prepared;

    /// <summary>What comes next.</summary>
    public PanelFollow* Next;

    /// <summary>Takes units of the <see cref="PanelDivision"/> at <paramref name="context"/> until there are none left.</summary>
    public static void Run(void* context, int thread, int shares)
    {
        var division = (PanelDivision*)context;
        var cut = division->Cut;
        var next = division->Next;
        var current = -1;
        PanelProductArguments product = default;
        while (division->Shares.TryTake(thread, out var unit, out var follows))
        {
            var group = unit / cut.GroupUnits;
            if (group != current)
            {
                product = division->Product.Group(group, cut.Groups);
                division->Prepare(&product, group);
                current = group;
            }

            var first = unit % cut.GroupUnits * cut.UnitPanels;
            var last = Math.Min(product.OwnPanels, first + cut.UnitPanels);
            var following = follows ? &product : thread < next->Cut.Shares ? &next->Product : null;
            var panel = follows ? last % product.OwnPanels : next->Cut.FirstPanel(thread);
            NativeCpuMethods.ms_cpu_bf16_multiply(&product, first, last, following, panel);
        }
    }

    private readonly void Prepare(PanelProductArguments* product, int group)
    {
        var blocks = product->Blocks;
        var norm = Norm;
        if (norm.Residual is null)
        {
            // One after the other, a block's rows would be read in pieces of a line: all at once, by whoever comes first.
            if (Prepared.TryTake(group, 1, out _))
            {
                NativeCpuMethods.ms_cpu_bf16_arrange(product, 0, product->Columns / 2);
                Prepared.Done(group);
            }

            Prepared.Await(group, 1);
            return;
        }

        var offset = (long)PartShares.First(Product.Count, group, Cut.Groups) * product->Columns;
        norm.Residual += offset;
        norm.Delta = norm.Delta is null ? null : norm.Delta + offset;
        while (Prepared.TryTake(group, blocks, out var block))
        {
            NativeCpuMethods.ms_cpu_bf16_norm(product, &norm, block, block + 1);
            Prepared.Done(group);
        }

        Prepared.Await(group, blocks);
    }
}
