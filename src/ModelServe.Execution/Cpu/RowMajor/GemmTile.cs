namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>One tile of a product: where its weights, activations and results lie.</summary>
/// <remarks>Both kernels of each width read it, and the tile's place says which weight rows it takes.</remarks>
internal unsafe struct GemmTile
{
    /// <summary>First weight of the first row.</summary>
    public byte* Weight;

    /// <summary>Bytes from one weight row to the next.</summary>
    public long RowBytes;

    /// <summary>The last columns of each row, padded with zeros to 32; null where the columns are a multiple of 32.</summary>
    public byte* Tail;

    /// <summary>Arranged activations of the group: [block of 32 columns, row, 32].</summary>
    public float* X;

    /// <summary>Whole blocks of 32 columns.</summary>
    public int Blocks;

    /// <summary>Result of the first weight row and the first activation row.</summary>
    public float* Y;

    /// <summary>Elements from one activation row's results to the next.</summary>
    public long YStride;

    /// <summary>Bias of the first weight row, or null.</summary>
    public float* Bias;

    /// <summary>Bytes from a weight to the one that the cache should fetch meanwhile; 0 for none.</summary>
    public long Ahead;
}
