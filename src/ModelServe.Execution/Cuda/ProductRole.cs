namespace ModelServe.Execution.Cuda;

/// <summary>What surrounds a product, which decides what a kernel may do on the way.</summary>
internal enum ProductRole
{
    /// <summary>Nothing.</summary>
    Plain,

    /// <summary>Its input is a norm of the residual.</summary>
    Normed,

    /// <summary>So is its input, and its output is gated.</summary>
    Gated,

    /// <summary>Its output is added to the residual.</summary>
    Added,
}
