namespace ModelServe.Execution.Cuda;

/// <summary>Which kernels make a product.</summary>
internal enum ProductForm
{
    /// <summary>One: the kernel of few rows, which normalises what it reads.</summary>
    Fused,

    /// <summary>The kernel of few rows after the norm's own kernel; more rows than it takes, block after block.</summary>
    Narrow,

    /// <summary>cuBLASLt after the norm's own kernel, and the gate's kernel after it.</summary>
    Wide,
}
