namespace ModelServe.Codec.Templates;

/// <summary>The cycler global: walks round its items.</summary>
internal sealed class TemplateCycler(object?[] items)
{
    private int _position;

    /// <summary>An attribute; <see cref="Missing"/> for an unknown one.</summary>
    public object? Attribute(string name) => name switch
    {
        "current" => items[_position],
        "items" => new TemplateTuple(items),
        "pos" => Boxed.Of(_position),
        "next" => new TemplateFunction(name, (_, _) =>
        {
            object? item = items[_position];
            _position = (_position + 1) % items.Length;
            return item;
        }),
        "reset" => new TemplateFunction(name, (_, _) =>
        {
            _position = 0;
            return null;
        }),
        _ => Missing.Value,
    };
}
