using ModelServe.Execution.Cpu.Threads;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>How a product is divided among threads: into groups of activation rows, and each of them into units of a few panels of the weight.</summary>
/// <remarks>
/// Of few rows, threads share the panels among themselves, and each panel comes from memory once. Of more, each thread has rows of its
/// own and reads all panels: what it makes of a row stays in its cache until it is the next product's, where otherwise half of
/// all activations would come from the other threads' caches, a line at a time. Units are numbered group by group, so that a
/// share is a run of them in either case. Many rows of one thread are several groups, whose activations each fit its cache.
/// </remarks>
internal unsafe struct PanelCut
{
    /// <summary>Activation rows for which a product of that many takes as long as one of fewer.</summary>
    public const int FewRows = 6;

    // Panels of a unit: as many as the kernels take at a time, of one or few rows and of many.
    private const int FewRowsPanels = 4;
    private const int ManyRowsPanels = 2;

    // Every group reads all weights. With more than this many rows in it for each thread, all threads together ask the memory for no more
    // than two do that multiply twelve rows each, 39 GB/s.
    private const int GroupRowsPerThread = 6;

    // Of 2,048 columns half a second-level cache of 1 MiB.
    private const int MostGroupRows = 128;

    /// <summary>Groups of rows, as even as they come.</summary>
    public int Groups;

    /// <summary>Units of a group.</summary>
    public int GroupUnits;

    /// <summary>Panels of a unit; of a gated product, of gates.</summary>
    public int UnitPanels;

    /// <summary>Shares of the units; at most one for each thread.</summary>
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
        cut.UnitPanels = (product->Count <= FewRows ? FewRowsPanels : ManyRowsPanels) / (product->Gated is null ? 1 : 2);
        cut.GroupUnits = (product->OwnPanels + cut.UnitPanels - 1) / cut.UnitPanels;
        cut.Shares = rowShares * Math.Min(threads / rowShares, cut.GroupUnits);
        return cut;
    }

    /// <summary>Into how many parts threads divide so many rows, a divisor of the threads; 1 where they divide the weights alone.</summary>
    public static int RowShares(int rows, int threads)
    {
        var shares = threads;
        while (shares > 1 && (threads % shares != 0 || rows <= (long)shares * GroupRowsPerThread * threads))
        {
            shares--;
        }

        return shares;
    }

    /// <summary>Most groups of at most so many rows.</summary>
    public static int MostGroups(int rows, int threads) => threads + (rows / MostGroupRows);

    /// <summary>The first unit of a share.</summary>
    public readonly int FirstUnit(int share) => Shares == 0 ? 0 : PartShares.First(Units, share, Shares);

    /// <summary>The first panel of a unit, or of a gated product the first gates.</summary>
    public readonly int FirstPanel(int unit) => GroupUnits == 0 ? 0 : unit % GroupUnits * UnitPanels;
}
