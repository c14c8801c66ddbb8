namespace ModelServe.Codec.Templates;

/// <summary>The filters that take sequences apart and put them together; lazy where Jinja2's are.</summary>
internal static class SequenceFilters
{
    /// <summary>length and count.</summary>
    public static object Length(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("length", 0);
        return Boxed.Of(PythonTypes.Length(value));
    }

    /// <summary>first; undefined for an empty sequence.</summary>
    public static object? First(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("first", 0);
        IEnumerator<object?> items = PythonIteration.Enumerate(state, value);
        return items.MoveNext() ? items.Current : new Undefined("No first item, sequence was empty.");
    }

    /// <summary>last; undefined for an empty sequence, refused for an iterator.</summary>
    public static object? Last(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("last", 0);
        IEnumerator<object?> items = Reversed(state, value)
            ?? throw new TemplateException($"'{PythonTypes.NameOf(value)}' object is not reversible");
        return items.MoveNext() ? items.Current : new Undefined("No last item, sequence was empty.");
    }

    /// <summary>reverse: a string reversed, or an iterator from the end.</summary>
    public static object Reverse(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("reverse", 0);
        if (PythonTypes.AsText(value) is string text)
        {
            state.ChargeText(text.Length);
            string reversed = CodePoints.Reverse(text);
            return value is Markup ? new Markup(reversed) : reversed;
        }

        if (Reversed(state, value) is IEnumerator<object?> items)
        {
            return new OneShotIterator("list_reverseiterator", items);
        }

        object?[] all = [.. PythonIteration.ToArray(state, value)];
        Array.Reverse(all);
        return new TemplateList(all);
    }

    /// <summary>join: everything becomes text.</summary>
    public static object Join(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("join", 0, "d", "attribute");
        object?[] items = PythonIteration.ToArray(state, value);
        var parts = new string[items.Length];
        for (int i = 0; i < items.Length; i++)
        {
            object? item = bound[1] is Missing or null ? items[i] : AttributePath.Get(state, items[i], bound[1]);
            parts[i] = PythonText.Str(state, item);
        }

        return TextShape.Join(state, bound[0] is Missing ? "" : PythonText.Str(state, bound[0]), parts);
    }

    /// <summary>items: the pairs of a mapping, lazily; none of undefined.</summary>
    public static object Items(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("items", 0);
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            if (value is Undefined)
            {
                yield break;
            }

            if (value is not TemplateDict dict)
            {
                throw new TemplateException("Can only get item pairs from a mapping.");
            }

            foreach ((object? key, object? item) in dict)
            {
                yield return new TemplateTuple([key, item]);
            }
        }
    }

    /// <summary>batch: lists of so many elements, lazily.</summary>
    public static object Batch(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("batch", 1, "linecount", "fill_with");
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            long size = PythonNumbers.RequireLong(bound[0], "linecount");
            var batch = new List<object?>();
            IEnumerator<object?> items = PythonIteration.Enumerate(state, value);
            while (items.MoveNext())
            {
                state.Charge(1);
                if (batch.Count == size)
                {
                    yield return new TemplateList([.. batch]);
                    batch.Clear();
                }

                batch.Add(items.Current);
            }

            if (batch.Count > 0)
            {
                while (bound[1] is not (Missing or null) && batch.Count < size)
                {
                    state.Charge(1);
                    batch.Add(bound[1]);
                }

                yield return new TemplateList([.. batch]);
            }
        }
    }

    /// <summary>slice: so many lists of about equal length, lazily.</summary>
    public static object Slice(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("slice", 1, "slices", "fill_with");
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            object?[] items = PythonIteration.ToArray(state, value);
            long slices = PythonNumbers.RequireLong(bound[0], "slices");
            if (slices == 0)
            {
                throw new TemplateException("integer division or modulo by zero");
            }

            long each = items.Length / slices;
            long longer = items.Length % slices;
            int start = 0;
            for (long i = 0; i < slices; i++)
            {
                state.Charge(1);
                int end = start + (int)(each + (i < longer ? 1 : 0));
                object?[] part = items[start..end];
                yield return new TemplateList(i >= longer && bound[1] is not (Missing or null) ? [.. part, bound[1]] : part);
                start = end;
            }
        }
    }

    private static IEnumerator<object?>? Reversed(RenderState state, object? value)
    {
        switch (value)
        {
            case TemplateSequence or DictView or TemplateDict or string or Markup or TemplateRange:
                object?[] items = PythonIteration.ToArray(state, value);
                return Enumerable.Range(0, items.Length).Select(i => items[items.Length - 1 - i]).GetEnumerator();
            default:
                return null;
        }
    }
}
