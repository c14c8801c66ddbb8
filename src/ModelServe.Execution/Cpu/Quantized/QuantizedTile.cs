using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Quantized;

/// <summary>Some panels of a quantised weight times one block of activation rows, as <c>ms_cpu_quantized_tile</c> in <c>quantized.h</c> lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct QuantizedTile
{
    /// <summary>First panel, laid out as <see cref="Quantization.QuantizedShape"/> says; aligned to 64 bytes.</summary>
    public byte* Weight;

    /// <summary>Bytes from one panel to the next.</summary>
    public long PanelBytes;

    /// <summary>Activations, -127 .. 127, [4 columns][Width][4].</summary>
    public sbyte* X;

    /// <summary>Their scales, [group][Width].</summary>
    public float* Scales;

    /// <summary>Minus the weights' offset times the sum of a group's activations, [group][Width].</summary>
    public int* Corrections;

    /// <summary>[Rows], or null.</summary>
    public float* Bias;

    /// <summary>Results [Width, YStride].</summary>
    public float* Y;

    /// <summary>Elements from one row of results to the next.</summary>
    public long YStride;

    /// <summary>How many bytes before their use the weights are fetched.</summary>
    public long Ahead;

    /// <summary>Panels.</summary>
    public int Panels;

    /// <summary>Weight rows that are there.</summary>
    public int Rows;

    /// <summary>Blocks of a panel.</summary>
    public int Blocks;

    /// <summary>Activation rows.</summary>
    public int Width;

    /// <summary>Bits of a weight.</summary>
    public int Bits;

    private int _reserved;
}
