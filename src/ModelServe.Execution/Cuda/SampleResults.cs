using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>Where the results of sampling lie, on the device and in the pinned copy: ids first, so that a plain step copies them alone.</summary>
internal readonly struct SampleResults
{
    private readonly int _rows;
    private readonly int _top;

    /// <summary>The layout of one model.</summary>
    public SampleResults(ExecutorGeometry geometry)
    {
        _rows = GraphBuckets.For(geometry.MaxSequences);
        _top = Math.Max(1, geometry.MaxTopLogprobs);
    }

    /// <summary>Alternatives of a row.</summary>
    public int Top => _top;

    /// <summary>[row] log probability of the token.</summary>
    public int Chosen => _rows * sizeof(int);

    /// <summary>[row, rank] ids of the alternatives.</summary>
    public int TopIds => Chosen + (_rows * sizeof(float));

    /// <summary>[row, rank] their log probabilities.</summary>
    public int TopLogprobs => TopIds + (_rows * _top * sizeof(int));

    /// <summary>Bytes of everything.</summary>
    public int Bytes => TopLogprobs + (_rows * _top * sizeof(float));

    /// <summary>Bytes of everything, for a geometry.</summary>
    public static int BytesFor(ExecutorGeometry geometry) => new SampleResults(geometry).Bytes;
}
