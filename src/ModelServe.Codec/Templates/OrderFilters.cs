namespace ModelServe.Codec.Templates;

/// <summary>The filters that sort, group and compare elements.</summary>
internal static class OrderFilters
{
    /// <summary>sort: stable, by up to several attributes, case-insensitive unless told.</summary>
    public static object Sort(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("sort", 0, "reverse", "case_sensitive", "attribute");
        object?[] paths = PythonTypes.AsText(bound[2]) is string text ? [.. text.Split(',')] : [bound[2] is Missing ? null : bound[2]];
        object? Key(object? item) =>
            new TemplateList([.. paths.Select(path => Fold(AttributePath.Get(state, item, path), bound[1]))]);

        return new TemplateList(Sorted(state, PythonIteration.ToArray(state, value), Key, IsSet(bound[0])));
    }

    /// <summary>dictsort: pairs by key or value.</summary>
    public static object DictSort(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("dictsort", 0, "case_sensitive", "by", "reverse");
        int position = bound[1] is Missing ? 0 : PythonTypes.AsText(bound[1]) switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw new TemplateException("You can only sort by either \"key\" or \"value\""),
        };
        if (value is not TemplateDict dict)
        {
            throw value is Undefined undefined ? undefined.Raise()
                : new TemplateException($"'{PythonTypes.NameOf(value)}' object has no attribute 'items'");
        }

        state.Charge(dict.Count);
        return new TemplateList(Sorted(
            state, dict.Pairs, pair => Fold(((TemplateTuple)pair!).Items[position], bound[0]), IsSet(bound[2])));
    }

    /// <summary>groupby: tuples of the key and its elements, sorted by key.</summary>
    public static object GroupBy(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("groupby", 1, "attribute", "default", "case_sensitive");
        object? Plain(object? item) => AttributePath.Get(state, item, bound[0], bound[1] is Missing ? null : bound[1]);
        object?[] sorted = Sorted(state, PythonIteration.ToArray(state, value), item => Fold(Plain(item), bound[2]), reverse: false);
        var groups = new List<object?>();
        for (int start = 0, end; start < sorted.Length; start = end)
        {
            object? key = Fold(Plain(sorted[start]), bound[2]);
            for (end = start + 1; end < sorted.Length; end++)
            {
                if (!PythonComparison.AreEqual(Fold(Plain(sorted[end]), bound[2]), key, state))
                {
                    break;
                }
            }

            groups.Add(new TemplateTuple([Plain(sorted[start]), new TemplateList(sorted[start..end])], isGroup: true));
        }

        return new TemplateList([.. groups]);
    }

    /// <summary>unique: the first of each, lazily.</summary>
    public static object Unique(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("unique", 0, "case_sensitive", "attribute");
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            var seen = new TemplateDict();
            IEnumerator<object?> items = PythonIteration.Enumerate(state, value);
            while (items.MoveNext())
            {
                state.Charge(1);
                object? key = Fold(AttributePath.Get(state, items.Current, bound[1] is Missing ? null : bound[1]), bound[0]);
                if (!seen.TryGet(key, out _))
                {
                    seen.Set(key, null);
                    yield return items.Current;
                }
            }
        }
    }

    /// <summary>min (<paramref name="sign"/> -1) and max (1): the first of the extreme elements.</summary>
    public static object? Extreme(RenderState state, object? value, CallArguments arguments, string filter, int sign)
    {
        object?[] bound = arguments.Bind(filter, 0, "case_sensitive", "attribute");
        object? Key(object? item) => Fold(AttributePath.Get(state, item, bound[1] is Missing ? null : bound[1]), bound[0]);
        object?[] items = PythonIteration.ToArray(state, value);
        if (items.Length == 0)
        {
            return new Undefined("No aggregated item, sequence was empty.");
        }

        object? best = items[0];
        object? bestKey = Key(best);
        foreach (object? item in items.Skip(1))
        {
            object? key = Key(item);
            if (PythonComparison.Order(key, bestKey, sign < 0 ? "<" : ">") * sign > 0)
            {
                best = item;
                bestKey = key;
            }
        }

        return best;
    }

    /// <summary>A stable merge sort by Python's order; every comparison counts as a step.</summary>
    public static object?[] Sorted(RenderState state, object?[] items, Func<object?, object?> key, bool reverse)
    {
        var entries = new (object? Key, object? Item)[items.Length];
        for (int i = 0; i < items.Length; i++)
        {
            entries[i] = (key(items[i]), items[i]);
        }

        var merged = new (object? Key, object? Item)[items.Length];
        for (int width = 1; width < entries.Length; width *= 2)
        {
            for (int start = 0; start < entries.Length; start += 2 * width)
            {
                int middle = Math.Min(start + width, entries.Length);
                int end = Math.Min(middle + width, entries.Length);
                int left = start;
                int right = middle;
                for (int at = start; at < end; at++)
                {
                    state.Charge(1);
                    bool takesRight = left == middle || (right < end && (reverse
                        ? PythonComparison.Order(entries[left].Key, entries[right].Key, "<") < 0
                        : PythonComparison.Order(entries[right].Key, entries[left].Key, "<") < 0));
                    merged[at] = takesRight ? entries[right++] : entries[left++];
                }
            }

            (entries, merged) = (merged, entries);
        }

        return [.. entries.Select(entry => entry.Item)];
    }

    private static bool IsSet(object? argument) => argument is not Missing && PythonTypes.IsTrue(argument);

    private static object? Fold(object? key, object? caseSensitive) =>
        PythonTypes.AsText(key) is string text && !IsSet(caseSensitive) ? TextCase.Lower(text) : key;
}
