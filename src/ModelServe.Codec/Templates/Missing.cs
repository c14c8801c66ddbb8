namespace ModelServe.Codec.Templates;

/// <summary>Marks a slot or argument that nothing was put into; templates never see it.</summary>
internal sealed class Missing
{
    private Missing()
    {
    }

    /// <summary>The only instance.</summary>
    public static Missing Value { get; } = new();
}
