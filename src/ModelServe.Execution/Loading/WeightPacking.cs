namespace ModelServe.Execution.Loading;

/// <summary>How the native CPU kernels keep bfloat16 weights that are not quantised.</summary>
public enum WeightPacking
{
    /// <summary>In 12 bits where that loses nothing, matrix by matrix; else in 16.</summary>
    Auto,

    /// <summary>In 16 bits.</summary>
    Off,
}
