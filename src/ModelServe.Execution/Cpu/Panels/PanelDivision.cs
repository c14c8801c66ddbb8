using ModelServe.Execution.Cpu.Threads;

namespace ModelServe.Execution.Cpu.Panels;

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

    /// <summary>Which groups are arranged, where there are several; of one, the activations are arranged before.</summary>
    public PreparedGroups Prepared;

    /// <summary>What comes next.</summary>
    public PanelFollow* Next;

    /// <summary>Takes units of the <see cref="PanelDivision"/> at <paramref name="context"/> until there are none left, for a pool.</summary>
    public static void Run(void* context, int thread, int shares)
    {
        var division = (PanelDivision*)context;
        var cut = division->Cut;
        var next = division->Next;
        var product = division->Product;
        var current = cut.Groups == 1 ? 0 : -1;
        while (division->Shares.TryTake(thread, out var unit, out var follows))
        {
            var group = unit / cut.GroupUnits;
            if (group != current)
            {
                current = group;
                product = division->Product.Group(group, cut.Groups);
                division->Prepare(&product, group);
            }

            var first = cut.FirstPanel(unit);
            var last = Math.Min(product.OwnPanels, first + cut.UnitPanels);
            var following = follows ? &product : thread < next->Cut.Shares ? &next->Product : null;
            var panel = follows ? cut.FirstPanel(unit + 1) : next->Cut.FirstPanel(next->Cut.FirstUnit(thread));
            NativePanelMethods.ms_cpu_bf16_multiply(&product, first, last, following, panel);
        }
    }

    private readonly void Prepare(PanelProductArguments* group, int number)
    {
        if (Norm.Residual is null)
        {
            if (Prepared.TryTake(number, 1, out _))
            {
                NativePanelMethods.ms_cpu_bf16_arrange(group, 0, group->Columns / 2);
                Prepared.Done(number);
            }

            Prepared.Await(number, 1);
            return;
        }

        var norm = Norm;
        var before = (long)PartShares.First(Product.Count, number, Cut.Groups) * group->Columns;
        norm.Residual += before;
        norm.Delta = norm.Delta is null ? null : norm.Delta + before;
        var blocks = group->Blocks;
        while (Prepared.TryTake(number, blocks, out var block))
        {
            NativePanelMethods.ms_cpu_bf16_norm(group, &norm, block, block + 1);
            Prepared.Done(number);
        }

        Prepared.Await(number, blocks);
    }
}
