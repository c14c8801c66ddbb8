using ModelServe.Engine.Running;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Where what belongs to scored prompt tokens lies: orders for a whole step, results for a tile of rows after the other.</summary>
/// <remarks>
/// Orders are three runs of as many integers as a step may feed tokens. A tile's results are logarithms, ranks, ids and logarithms of
/// alternatives; the device has room for one tile, a step's pinned memory for all. Offsets in bytes.
/// </remarks>
internal readonly struct ScoreLayout
{
    private readonly int _tokens;

    /// <summary>The layout of one model.</summary>
    public ScoreLayout(ExecutorGeometry geometry, OpsShape shape)
    {
        _tokens = geometry.MaxBatchedTokens;
        Rows = shape.ScoredRows;
        Top = Math.Max(1, geometry.MaxTopLogprobs);
    }

    /// <summary>Rows of a tile.</summary>
    public int Rows { get; }

    /// <summary>Alternatives of a row.</summary>
    public int Top { get; }

    /// <summary>[scored] the token behind.</summary>
    public int Targets => _tokens * sizeof(int);

    /// <summary>[scored] alternatives wanted.</summary>
    public int Wanted => 2 * _tokens * sizeof(int);

    /// <summary>Bytes of the orders.</summary>
    public int OrderBytes => 3 * _tokens * sizeof(int);

    /// <summary>[row of the tile] its place.</summary>
    public int Ranks => Rows * sizeof(float);

    /// <summary>[row of the tile, rank] ids.</summary>
    public int TopIds => 2 * Rows * sizeof(float);

    /// <summary>[row of the tile, rank] their log probabilities.</summary>
    public int TopLogprobs => TopIds + (Rows * Top * sizeof(int));

    /// <summary>Bytes of a tile's results.</summary>
    public int TileBytes => TopLogprobs + (Rows * Top * sizeof(float));

    /// <summary>Bytes of a step's orders and all its results.</summary>
    public int StepBytes => checked(OrderBytes + ((_tokens + Rows - 1) / Rows * TileBytes));
}
