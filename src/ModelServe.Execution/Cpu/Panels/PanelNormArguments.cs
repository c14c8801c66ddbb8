using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu.Panels;

/// <summary>The normalisation of a product's activations, as <c>ms_cpu_norm</c> in <c>modelserve_cpu.h</c> lays it out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PanelNormArguments
{
    /// <summary>[Count, Columns] what is normalised; where <see cref="Delta"/> is given, the sum is written back.</summary>
    public float* Residual;

    /// <summary>[Count, Columns] added first; or null.</summary>
    public float* Delta;

    /// <summary>[Columns].</summary>
    public float* Gain;

    /// <summary>Added to the mean square.</summary>
    public float Epsilon;

    private int _reserved;
}
