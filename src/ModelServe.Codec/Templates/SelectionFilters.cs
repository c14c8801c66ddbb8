namespace ModelServe.Codec.Templates;

/// <summary>The filters that choose or map elements, lazily, and those that look at one value.</summary>
internal static class SelectionFilters
{
    /// <summary>default: for undefined, or with its second argument for anything false.</summary>
    public static object? Default(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("default", 0, "default_value", "boolean");
        bool isBoolean = bound[1] is not Missing && PythonTypes.IsTrue(bound[1]);
        return value is Undefined || (isBoolean && !PythonTypes.IsTrue(value)) ? (bound[0] is Missing ? "" : bound[0]) : value;
    }

    /// <summary>attr: the attribute, never the key.</summary>
    public static object? Attr(RenderState state, object? value, CallArguments arguments)
    {
        string name = TextSearch.RequireText(arguments.Bind("attr", 1, "name")[0], "attr");
        if (value is TemplateDict dict && dict.TryGet(name, out _) && ContainerMethods.Find(dict, name) is Missing)
        {
            return Undefined.Member(value, name);
        }

        return MemberLookup.Attribute(value, name);
    }

    /// <summary>map: an attribute or a filter of each element.</summary>
    public static object Map(RenderState state, object? value, CallArguments arguments)
    {
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            if (!PythonTypes.IsTrue(value))
            {
                yield break;
            }

            Func<object?, object?> map = Mapping(state, arguments);
            IEnumerator<object?> items = PythonIteration.Enumerate(state, value);
            while (items.MoveNext())
            {
                state.Charge(1);
                yield return map(items.Current);
            }
        }
    }

    /// <summary>select, reject, selectattr and rejectattr; a false value has no elements.</summary>
    public static object Select(RenderState state, object? value, CallArguments arguments, bool keep, bool byAttribute)
    {
        return new OneShotIterator("generator", Walk());

        IEnumerator<object?> Walk()
        {
            if (!PythonTypes.IsTrue(value))
            {
                yield break;
            }

            Func<object?, bool> test = Testing(state, arguments, byAttribute);
            IEnumerator<object?> items = PythonIteration.Enumerate(state, value);
            while (items.MoveNext())
            {
                state.Charge(1);
                if (test(items.Current) == keep)
                {
                    yield return items.Current;
                }
            }
        }
    }

    private static Func<object?, object?> Mapping(RenderState state, CallArguments arguments)
    {
        if (arguments.Positional.Length == 0)
        {
            object?[] bound = arguments.Bind("map", 0, "attribute", "default");
            return bound[0] is Missing
                ? throw new TemplateException("map requires a filter argument")
                : item => AttributePath.Get(state, item, bound[0], bound[1] is Missing ? null : bound[1]);
        }

        string name = PythonText.Str(state, arguments.Positional[0]);
        TemplateFilter filter = FilterTable.Find(name) ?? throw new TemplateException($"No filter named '{name}' found.");
        CallArguments rest = arguments.Skip(1);
        return item => filter(state, item, rest);
    }

    private static Func<object?, bool> Testing(RenderState state, CallArguments arguments, bool byAttribute)
    {
        int skip = byAttribute ? 1 : 0;
        if (arguments.Positional.Length < skip)
        {
            throw new TemplateException("Missing parameter for attribute name");
        }

        object? path = byAttribute ? arguments.Positional[0] : null;
        if (arguments.Positional.Length == skip)
        {
            return item => PythonTypes.IsTrue(AttributePath.Get(state, item, path));
        }

        string name = PythonText.Str(state, arguments.Positional[skip]);
        TemplateTest test = TestTable.Find(name) ?? throw new TemplateException($"No test named '{name}' found.");
        CallArguments rest = arguments.Skip(skip + 1);
        return item => test(state, AttributePath.Get(state, item, path), rest);
    }
}
