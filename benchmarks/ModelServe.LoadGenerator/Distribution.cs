namespace ModelServe.LoadGenerator;

/// <summary>Mean and quantiles of a set of numbers (nearest rank); zeros for an empty set.</summary>
internal sealed record Distribution(double Mean, double P50, double P90, double P99, double Max)
{
    /// <summary>Of these numbers, in any order.</summary>
    public static Distribution Of(double[] values)
    {
        if (values.Length == 0)
        {
            return new Distribution(0, 0, 0, 0, 0);
        }

        Array.Sort(values);
        return new Distribution(values.Average(), At(values, .5), At(values, .9), At(values, .99), values[^1]);
    }

    private static double At(double[] sorted, double quantile) =>
        sorted[Math.Clamp((int)Math.Ceiling(quantile * sorted.Length) - 1, 0, sorted.Length - 1)];
}
