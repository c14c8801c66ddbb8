namespace ModelServe.Codec.Templates;

/// <summary>The string methods that look for parts.</summary>
internal static class TextSearch
{
    /// <summary>str.startswith.</summary>
    public static object StartsWith(RenderState state, string text, CallArguments arguments) =>
        Affix(text, arguments, "startswith", (window, part) => window.StartsWith(part, StringComparison.Ordinal));

    /// <summary>str.endswith.</summary>
    public static object EndsWith(RenderState state, string text, CallArguments arguments) =>
        Affix(text, arguments, "endswith", (window, part) => window.EndsWith(part, StringComparison.Ordinal));

    /// <summary>str.count: occurrences that do not overlap.</summary>
    public static object Count(RenderState state, string text, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("count", 1, "sub", "start", "end");
        string part = RequireText(bound[0], "count()");
        string? window = Window(text, bound[1], bound[2], out _);
        if (window is null)
        {
            return Boxed.Of(0);
        }

        if (part.Length == 0)
        {
            return Boxed.Of(CodePoints.Length(window) + 1);
        }

        long count = 0;
        for (int at = 0; (at = window.IndexOf(part, at, StringComparison.Ordinal)) >= 0; at += part.Length)
        {
            count++;
        }

        return Boxed.Of(count);
    }

    /// <summary>str.find, rfind, index and rindex; the last two raise where nothing is found.</summary>
    public static object Find(RenderState state, string text, CallArguments arguments, string method, bool last)
    {
        object?[] bound = arguments.Bind(method, 1, "sub", "start", "end");
        string part = RequireText(bound[0], method + "()");
        string? window = Window(text, bound[1], bound[2], out int start);
        int at = window is null ? -1
            : part.Length == 0 ? (last ? window.Length : 0)
            : last ? window.LastIndexOf(part, StringComparison.Ordinal) : window.IndexOf(part, StringComparison.Ordinal);
        if (at < 0)
        {
            return method.EndsWith("index", StringComparison.Ordinal) ? throw new TemplateException("substring not found") : Boxed.Of(-1);
        }

        return Boxed.Of(start + CodePoints.Index(window!, at));
    }

    /// <summary>The argument as a string.</summary>
    /// <exception cref="TemplateException">It is none.</exception>
    public static string RequireText(object? value, string function) => PythonTypes.AsText(value)
        ?? throw new TemplateException($"{function} argument must be str, not {PythonTypes.NameOf(value)}");

    private static object Affix(string text, CallArguments arguments, string method, Func<string, string, bool> matches)
    {
        object?[] bound = arguments.Bind(method, 1, "prefix", "start", "end");
        object?[] parts = bound[0] is TemplateTuple tuple ? tuple.Items : [bound[0]];
        string? window = Window(text, bound[1], bound[2], out _);
        bool found = false;
        foreach (object? item in parts)
        {
            string part = PythonTypes.AsText(item) ?? throw new TemplateException(
                $"{method} first arg must be str or a tuple of str, not {PythonTypes.NameOf(item)}");
            found |= window is not null && matches(window, part);
        }

        return Boxed.Of(found);
    }

    /// <summary>The part of the text between two code point indices; null where the start lies past the end.</summary>
    private static string? Window(string text, object? from, object? to, out int start)
    {
        start = 0;
        if (from is Missing && to is Missing)
        {
            return text;
        }

        int length = CodePoints.Length(text);
        int first = from is Missing or null ? 0 : Clamp(from, length);
        int last = to is Missing or null ? length : Math.Min(Clamp(to, length), length);
        start = first;
        return first > last || first > length ? null : CodePoints.Substring(text, first, last);
    }

    private static int Clamp(object? bound, int length)
    {
        int index = PythonNumbers.RequireInt(bound, "slice index");
        return index < 0 ? Math.Max(0, index + length) : index;
    }
}
