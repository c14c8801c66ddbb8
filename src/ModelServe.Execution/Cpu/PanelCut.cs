namespace ModelServe.Execution.Cpu;

/// <summary>How a product is divided among threads: groups of activation rows, and for each of them units of a few panels of the weight.</summary>
/// <remarks>
/// Of few rows, threads share the weight's panels: each panel is read from memory once. Of more, each thread has rows of its own and
/// reads all panels: what it makes of a row is what it needs for the next product, and stays in its cache. Units are numbered group by
/// group, so that a share is one run of them in both cases.
/// </remarks>
internal unsafe struct PanelCut
{
    // Panels of a unit: as many as the kernels take at a time, of one or few rows and of many.
    private const int FewRowsPanels = 4;
    private const int ManyRowsPanels = 2;

    /// <summary>Activation rows that are few.</summary>
    public const int FewRows = 6;

    private static readonly int GroupRows = int.Parse(Environment.GetEnvironmentVariable("MS_GROUP_ROWS") ?? "6");
    private static readonly int MostGroupRows = int.Parse(Environment.GetEnvironmentVariable("MS_MOST_ROWS") ?? "128");

    /// <summary>Groups of rows, as even as they come.</summary>
    public int Groups;

    /// <summary>Units of a group.</summary>
    public int GroupUnits;

    /// <summary>Panels of a unit; of a gated product, of gates.</summary>
    public int UnitPanels;

    /// <summary>Threads that can take part.</summary>
    public int Shares;

    /// <summary>Units of all groups.</summary>
    public readonly int Units => Groups * GroupUnits;

    /// <summary>Divides a product among so many threads.</summary>
    public static PanelCut Of(PanelProductArguments* product, int threads)
    {
        PanelCut cut;
        var rowShares = RowShares(product->Count, threads);
        var shareRows = (product->Count + rowShares - 1) / rowShares;
        cut.Groups = rowShares == 1 ? 1 : rowShares * ((shareRows + MostGroupRows - 1) / MostGroupRows);
        cut.UnitPanels = (product->Count / cut.Groups <= FewRows ? FewRowsPanels : ManyRowsPanels) / (product->Gated is null ? 1 : 2);
        cut.GroupUnits = (product->OwnPanels + cut.UnitPanels - 1) / cut.UnitPanels;
        cut.Shares = rowShares * Math.Min(threads / rowShares, cut.GroupUnits);
        return cut;
    }

    /// <summary>Into how many parts the rows are divided for threads: as many for each as keeps the memory from being what they wait for.</summary>
    /// <remarks>Every part reads all weights. A divisor of the threads.</remarks>
    public static int RowShares(int rows, int threads)
    {
        var shares = threads;
        while (shares > 1 && (threads % shares != 0 || rows < (long)shares * GroupRows * threads))
        {
            shares--;
        }

        return shares;
    }

    /// <summary>Most groups of at most so many rows.</summary>
    public static int MostGroups(int rows, int threads) => (2 * threads) + (rows / MostGroupRows);

    /// <summary>The first unit of a thread's share.</summary>
    public readonly int FirstUnit(int share) => Shares == 0 ? 0 : PartShares.First(Units, share, Shares);

    /// <summary>The first panel of a thread's share.</summary>
    public readonly int FirstPanel(int share) => GroupUnits == 0 ? 0 : FirstUnit(share) % GroupUnits * UnitPanels;
}
