using System.Runtime.InteropServices;
using ModelServe.Execution.Cpu.Threads;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>One product with weights in panels, as <c>ms_cpu_product</c> in <c>modelserve_cpu.h</c> lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelProductArguments
{
    /// <summary>Panels of bfloat16 [Rows, Columns].</summary>
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

    /// <summary>Lines of 64 bytes at the head of each panel; 0 where the weights take 16 bits each.</summary>
    public int HeadLines;

    /// <summary>What the gates of a gated product let through, [Count, GatedStride]; or null, where Y is the result.</summary>
    public float* Gated;

    /// <summary>Elements from one row of that to the next.</summary>
    public long GatedStride;

    /// <summary>Panels of the weight, of a gated one of the gates.</summary>
    public readonly int OwnPanels => ((Gated is null ? Rows : Rows / 2) + PanelProduct.PanelRows - 1) / PanelProduct.PanelRows;

    /// <summary>Blocks of activation rows.</summary>
    public readonly int Blocks => (Count + PanelProduct.BlockRows - 1) / PanelProduct.BlockRows;

    /// <summary>The product with one of so many groups of its rows alone.</summary>
    public readonly PanelProductArguments Group(int group, int groups)
    {
        var first = PartShares.First(Count, group, groups);
        var part = this;
        part.X += first * XStride;
        part.Arranged += (long)first * (Columns / 2);
        part.Y += first * YStride;
        part.Gated = Gated is null ? null : Gated + (first * GatedStride);
        part.Count = PartShares.First(Count, group + 1, groups) - first;
        return part;
    }
}
