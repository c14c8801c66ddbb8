namespace ModelServe.Codec.Templates;

/// <summary>Boxes for the values that templates make most, so that they cost no allocation.</summary>
internal static class Boxed
{
    private const int Lowest = -16;
    private static readonly object[] Small = [.. Enumerable.Range(Lowest, 272).Select(value => (object)(long)value)];

    /// <summary>True.</summary>
    public static object True { get; } = true;

    /// <summary>False.</summary>
    public static object False { get; } = false;

    /// <summary>A boxed bool.</summary>
    public static object Of(bool value) => value ? True : False;

    /// <summary>A boxed integer.</summary>
    public static object Of(long value) =>
        value >= Lowest && value < Lowest + Small.Length ? Small[value - Lowest] : value;
}
