using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Codec.Templates;

/// <summary>Python's iteration over a value.</summary>
internal static class PythonIteration
{
    /// <summary>The elements one by one.</summary>
    /// <exception cref="TemplateException">The value is not iterable.</exception>
    public static IEnumerator<object?> Enumerate(RenderState state, object? value) =>
        TryEnumerate(state, value, out IEnumerator<object?>? items)
            ? items
            : throw new TemplateException($"'{PythonTypes.NameOf(value)}' object is not iterable");

    /// <summary>The elements one by one; false when the value is not iterable.</summary>
    public static bool TryEnumerate(RenderState state, object? value, [NotNullWhen(true)] out IEnumerator<object?>? items)
    {
        items = value switch
        {
            TemplateSequence sequence => ((IEnumerable<object?>)sequence.Items).GetEnumerator(),
            TemplateDict dict => dict.Select(entry => entry.Key).GetEnumerator(),
            DictView view => ((IEnumerable<object?>)view.Items).GetEnumerator(),
            OneShotIterator iterator => iterator.Items,
            string text => CodePoints.Split(text, isMarkup: false).GetEnumerator(),
            Markup markup => CodePoints.Split(markup.Text, isMarkup: true).GetEnumerator(),
            TemplateRange range => Walk(range),
            Undefined => Enumerable.Empty<object?>().GetEnumerator(),
            LoopContext loop => Walk(state, loop),
            _ => null,
        };
        return items is not null;
    }

    /// <summary>All elements; each counts as a step.</summary>
    /// <exception cref="TemplateException">The value is not iterable.</exception>
    public static object?[] ToArray(RenderState state, object? value)
    {
        if (value is TemplateSequence sequence)
        {
            state.Charge(sequence.Items.Length);
            return sequence.Items;
        }

        IEnumerator<object?> items = Enumerate(state, value);
        var list = new List<object?>();
        while (items.MoveNext())
        {
            state.Charge(1);
            list.Add(items.Current);
        }

        return [.. list];
    }

    private static IEnumerator<object?> Walk(TemplateRange range)
    {
        long length = range.Length;
        for (long i = 0; i < length; i++)
        {
            yield return Boxed.Of(range.At(i));
        }
    }

    private static IEnumerator<object?> Walk(RenderState state, LoopContext loop)
    {
        while (loop.MoveNext())
        {
            state.Charge(1);
            yield return new TemplateTuple([loop.Current, loop]);
        }
    }
}
