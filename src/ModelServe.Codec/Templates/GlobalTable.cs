using System.Collections.Frozen;

namespace ModelServe.Codec.Templates;

/// <summary>The global functions: those of Jinja2 and the two that transformers adds.</summary>
internal static class GlobalTable
{
    private static readonly FrozenDictionary<string, TemplateFunction> Functions = new TemplateFunction[]
    {
        new("range", Range, "function"),
        new("dict", Dict, "type"),
        new("namespace", Namespace, "type"),
        new("cycler", Cycler, "type"),
        new("joiner", Joiner, "type"),
        new("lipsum", (_, _) => throw new TemplateException("the function 'lipsum' is not supported"), "function"),
        new("raise_exception", (state, arguments) => throw Raised(state, arguments), "function"),
        new("strftime_now", StrftimeNow, "function"),
    }.ToFrozenDictionary(function => function.Name);

    /// <summary>The function; null when there is none of that name.</summary>
    public static TemplateFunction? Find(string name) => Functions.GetValueOrDefault(name);

    private static TemplateException Raised(RenderState state, CallArguments arguments) =>
        new(PythonText.Str(state, arguments.Bind("raise_exception", 1, "message")[0]));

    private static string StrftimeNow(RenderState state, CallArguments arguments)
    {
        object? format = arguments.Bind("strftime_now", 1, "format")[0];
        string text = PythonTypes.AsText(format)
            ?? throw new TemplateException($"strftime() argument 1 must be str, not {PythonTypes.NameOf(format)}");
        return StrftimeFormat.Format(text, state.Time.GetLocalNow());
    }

    private static TemplateRange Range(RenderState state, CallArguments arguments)
    {
        object?[] values = arguments.Bind("range", 1, "start", "stop", "step");
        long first = PythonNumbers.RequireLong(values[0], "range()");
        var range = values[1] is Missing
            ? new TemplateRange(0, first, 1)
            : new TemplateRange(first, PythonNumbers.RequireLong(values[1], "range()"),
                values[2] is Missing ? 1 : PythonNumbers.RequireLong(values[2], "range()"));
        if (range.Step == 0)
        {
            throw new TemplateException("range() arg 3 must not be zero");
        }

        return range.Length <= state.Limits.MaxLoopIterations ? range : throw new TemplateException(
            $"Range too big. The sandbox blocks ranges larger than MAX_RANGE ({state.Limits.MaxLoopIterations}).");
    }

    private static TemplateDict Dict(RenderState state, CallArguments arguments)
    {
        var dict = new TemplateDict();
        Fill(state, "dict", arguments, dict.Set);
        return dict;
    }

    private static TemplateNamespace Namespace(RenderState state, CallArguments arguments)
    {
        var space = new TemplateNamespace();
        Fill(state, "namespace", arguments, (key, value) => space.Attributes[
            PythonTypes.AsText(key) ?? throw new TemplateException("attribute names must be strings")] = value);
        return space;
    }

    /// <summary>What dict() takes: a mapping or pairs, then named values.</summary>
    private static void Fill(RenderState state, string function, CallArguments arguments, Action<object?, object?> set)
    {
        if (arguments.Positional.Length > 1)
        {
            throw new TemplateException($"{function} expected at most 1 argument, got {arguments.Positional.Length}");
        }

        foreach (object? source in arguments.Positional)
        {
            if (source is TemplateDict other)
            {
                state.Charge(other.Count);
                foreach ((object? key, object? value) in other)
                {
                    set(key, value);
                }

                continue;
            }

            foreach (object? pair in PythonIteration.ToArray(state, source))
            {
                object?[] parts = PythonIteration.ToArray(state, pair);
                if (parts.Length != 2)
                {
                    throw new TemplateException($"{function} update sequence element has length {parts.Length}; 2 is required");
                }

                set(parts[0], parts[1]);
            }
        }

        foreach ((string name, object? value) in arguments.Named)
        {
            set(name, value);
        }
    }

    private static TemplateCycler Cycler(RenderState state, CallArguments arguments) => arguments.Positional.Length > 0
        ? new TemplateCycler(arguments.Positional) : throw new TemplateException("at least one item has to be provided");

    private static TemplateFunction Joiner(RenderState state, CallArguments arguments)
    {
        object? separator = arguments.Bind("joiner", 0, "sep")[0];
        bool used = false;
        return new TemplateFunction("joiner", (_, _) =>
        {
            object? text = used ? (separator is Missing ? ", " : separator) : "";
            used = true;
            return text;
        }, "Joiner");
    }
}
