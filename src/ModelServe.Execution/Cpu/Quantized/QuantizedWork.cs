using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>One product with a quantised weight, as the threads that share it see it.</summary>
internal unsafe struct QuantizedWork
{
    /// <summary>The weight, laid out as <see cref="Shape"/> says.</summary>
    public byte* Weight;

    /// <summary>Its layout.</summary>
    public QuantizedShape Shape;

    /// <summary>Bias [rows], or null.</summary>
    public float* Bias;

    /// <summary>Activations [Count, XStride].</summary>
    public float* X;

    /// <summary>Elements from one activation row to the next.</summary>
    public long XStride;

    /// <summary>Space for the quantised activations: Count times the padded columns.</summary>
    public sbyte* Quantized;

    /// <summary>Space for their scales: Count times the groups.</summary>
    public float* Scales;

    /// <summary>Space for their corrections: Count times the groups.</summary>
    public int* Corrections;

    /// <summary>Results [Count, YStride].</summary>
    public float* Y;

    /// <summary>Elements from one row of results to the next.</summary>
    public long YStride;

    /// <summary>Activation rows.</summary>
    public int Count;

    /// <summary>Panels that a thread takes at a time.</summary>
    public int UnitPanels;

    /// <summary>Which of these are whose.</summary>
    public PartShares Shares;

    /// <summary>Most activation rows of a tile.</summary>
    public int MaxWidth;

    /// <summary>Computes a tile.</summary>
    public delegate*<QuantizedTile*, void> Multiply;

    /// <summary>Blocks of activation rows, as even as they come.</summary>
    public readonly int RowBlocks => (Count + MaxWidth - 1) / MaxWidth;

    /// <summary>The first row of a block; of the block after the last, the count.</summary>
    public readonly int FirstRow(int block) => (int)((long)Count * block / RowBlocks);
}
