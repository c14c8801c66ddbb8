using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>What the fastest way to make a product depends on, beside its number of rows.</summary>
/// <param name="Role">What surrounds it.</param>
/// <param name="Features">Rows of the weight.</param>
/// <param name="Columns">Columns of the weight.</param>
/// <param name="Type">How the weight is stored.</param>
/// <param name="Result">How the result is stored.</param>
/// <param name="HasBias">Whether there is a bias.</param>
internal readonly record struct ProductShape(
    ProductRole Role, int Features, int Columns, ElementType Type, ElementType Result, bool HasBias)
{
    /// <summary>Most rows of the kernel of few rows.</summary>
    public const int NarrowRows = 64;

    /// <summary>Of what number that kernel's columns are a multiple.</summary>
    public const int NarrowColumns = 32;

    /// <summary>Row counts of one bucket share a choice: up to 8, 16, 32, 64, and so on by doubling.</summary>
    public static int Bucket(int rows) => Math.Max(0, 29 - System.Numerics.BitOperations.LeadingZeroCount((uint)Math.Max(1, rows - 1)));

    /// <summary>Most rows of a bucket.</summary>
    public static int RowsOf(int bucket) => 8 << bucket;

    /// <summary>Whether the kernel of few rows can make it.</summary>
    public bool FitsNarrow => Columns % NarrowColumns == 0;

    /// <summary>Whether cuBLASLt can.</summary>
    public bool FitsWide => Type != ElementType.Float8 || (Features % 16 == 0 && Columns % 16 == 0);

    /// <summary>Whether its input comes from a norm.</summary>
    public bool HasNorm => Role is ProductRole.Normed or ProductRole.Gated;
}
