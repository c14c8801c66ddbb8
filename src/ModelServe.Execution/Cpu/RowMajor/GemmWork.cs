using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>One product <c>y[m, n] = sum over k of x[m, k] * weight[n, k] (+ bias[n])</c>, as the threads that share it see it.</summary>
internal unsafe struct GemmWork
{
    /// <summary>Weights [Rows, Columns].</summary>
    public byte* Weight;

    /// <summary>Bias [Rows], or null.</summary>
    public float* Bias;

    /// <summary>Activations [Count, XStride].</summary>
    public float* X;

    /// <summary>Elements from one activation row to the next.</summary>
    public long XStride;

    /// <summary>Space for the arranged activations: Count times the columns rounded up to 32.</summary>
    public float* Arranged;

    /// <summary>Results [Count, YStride].</summary>
    public float* Y;

    /// <summary>Elements from one row of results to the next.</summary>
    public long YStride;

    /// <summary>Weight rows.</summary>
    public int Rows;

    /// <summary>Weight columns.</summary>
    public int Columns;

    /// <summary>Activation rows.</summary>
    public int Count;

    /// <summary>Whether 512-bit registers are used.</summary>
    public bool Wide;

    /// <summary>Arranges a part of the activations for weights in float32.</summary>
    public static void ArrangeSingle(void* work, int part, int parts) =>
        SkinnyGemm.Arrange((GemmWork*)work, ElementType.Float32, part, parts);

    /// <summary>Arranges a part of the activations for weights in bfloat16.</summary>
    public static void ArrangeRounded(void* work, int part, int parts) =>
        SkinnyGemm.Arrange((GemmWork*)work, ElementType.BFloat16, part, parts);

    /// <summary>Multiplies by a part of the weights, in float32.</summary>
    public static void MultiplySingle(void* work, int part, int parts) =>
        SkinnyGemm.Multiply((GemmWork*)work, ElementType.Float32, part, parts);

    /// <summary>Multiplies by a part of the weights, in bfloat16.</summary>
    public static void MultiplyRounded(void* work, int part, int parts) =>
        SkinnyGemm.Multiply((GemmWork*)work, ElementType.BFloat16, part, parts);
}
