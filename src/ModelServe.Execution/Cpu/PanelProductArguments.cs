using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu;

/// <summary>One product with packed weights, as <c>ms_cpu_product</c> in <c>modelserve_cpu.h</c> lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelProductArguments
{
    /// <summary>Packed bfloat16 [Rows, Columns].</summary>
    public ushort* Weight;

    /// <summary>[Rows], or null.</summary>
    public float* Bias;

    /// <summary>Activations [Count, XStride].</summary>
    public float* X;

    /// <summary>Elements from one activation row to the next.</summary>
    public long XStride;

    /// <summary>Space for Count * Columns rounded activations, aligned to 64 bytes.</summary>
    public uint* Arranged;

    /// <summary>Results [Count, YStride].</summary>
    public float* Y;

    /// <summary>Elements from one row of results to the next.</summary>
    public long YStride;

    /// <summary>Weight rows.</summary>
    public int Rows;

    /// <summary>Weight columns; even.</summary>
    public int Columns;

    /// <summary>Activation rows.</summary>
    public int Count;

    private int _reserved;

    /// <summary>What the gates of a gated product let through, [Count, GatedStride]; or null, where Y is the result.</summary>
    public float* Gated;

    /// <summary>Elements from one row of that to the next.</summary>
    public long GatedStride;
}
