namespace ModelServe.Execution.Cuda;

/// <summary>How a product is made for one bucket of row counts.</summary>
/// <param name="Form">Which kernels.</param>
/// <param name="Algorithm">cuBLASLt's algorithm, 64 opaque bytes; null lets the library estimate one.</param>
/// <param name="Microseconds">What it took when it was chosen; 0 if nothing was measured.</param>
internal sealed record ProductChoice(ProductForm Form, byte[]? Algorithm = null, float Microseconds = 0)
{
    /// <summary>Bytes of an algorithm.</summary>
    public const int AlgorithmBytes = 64;

    /// <summary>Row counts up to this are fused with their norm unless a measurement says otherwise: every block of the kernel normalises the rows anew.</summary>
    public const int FusedRows = 16;

    /// <summary>What is chosen without a measurement.</summary>
    public static ProductChoice Default(ProductShape shape, int bucket, bool hasWide)
    {
        var rows = ProductShape.RowsOf(bucket);
        var wide = hasWide && shape.FitsWide;
        return !shape.FitsNarrow || (wide && rows > ProductShape.NarrowRows) ? new ProductChoice(ProductForm.Wide)
            : shape.HasNorm && rows <= FusedRows ? new ProductChoice(ProductForm.Fused)
            : new ProductChoice(ProductForm.Narrow);
    }
}
