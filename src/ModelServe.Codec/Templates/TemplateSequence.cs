namespace ModelServe.Codec.Templates;

/// <summary>A list or tuple; templates cannot change it (the sandbox is immutable).</summary>
internal abstract class TemplateSequence(object?[] items)
{
    /// <summary>The elements.</summary>
    public object?[] Items { get; } = items;
}

/// <summary>A list.</summary>
internal sealed class TemplateList(object?[] items) : TemplateSequence(items);

/// <summary>A tuple; as an element of groupby's result it also has the attributes grouper and list.</summary>
internal sealed class TemplateTuple(object?[] items, bool isGroup = false) : TemplateSequence(items)
{
    /// <summary>Whether this is a pair of groupby.</summary>
    public bool IsGroup => isGroup;
}

/// <summary>What a dict's keys, values or items return: iterable and countable, but no sequence.</summary>
/// <param name="typeName">dict_keys, dict_values or dict_items.</param>
/// <param name="items">The elements.</param>
internal sealed class DictView(string typeName, object?[] items)
{
    /// <summary>Python's name of the type.</summary>
    public string TypeName => typeName;

    /// <summary>The elements.</summary>
    public object?[] Items => items;
}

/// <summary>A range of integers.</summary>
/// <param name="Start">The first.</param>
/// <param name="Stop">The end, exclusive.</param>
/// <param name="Step">The distance; not 0.</param>
internal sealed record TemplateRange(long Start, long Stop, long Step)
{
    /// <summary>Number of elements.</summary>
    public long Length => Step > 0
        ? Start < Stop ? (long)(((Int128)Stop - Start - 1) / Step) + 1 : 0
        : Start > Stop ? (long)(((Int128)Start - Stop - 1) / -(Int128)Step) + 1 : 0;

    /// <summary>An element.</summary>
    public long At(long index) => Start + (index * Step);
}

/// <summary>An iterator that can be walked once and has no length: what lazy filters return.</summary>
/// <param name="typeName">Python's name of the type.</param>
/// <param name="items">The elements still to come.</param>
internal sealed class OneShotIterator(string typeName, IEnumerator<object?> items)
{
    /// <summary>Python's name of the type.</summary>
    public string TypeName => typeName;

    /// <summary>The elements still to come.</summary>
    public IEnumerator<object?> Items => items;
}
