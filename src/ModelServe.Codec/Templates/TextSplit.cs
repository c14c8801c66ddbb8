using System.Buffers;

namespace ModelServe.Codec.Templates;

/// <summary>The string methods that split.</summary>
internal static class TextSplit
{
    private static readonly SearchValues<char> LineEnds = SearchValues.Create("\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029");

    /// <summary>str.split and rsplit, at white space or at a separator, up to a count.</summary>
    public static object Split(RenderState state, string text, CallArguments arguments, string method)
    {
        object?[] bound = arguments.Bind(method, 0, "sep", "maxsplit");
        long limit = bound[1] is Missing ? -1 : PythonNumbers.RequireLong(bound[1], "maxsplit");
        bool fromRight = method == "rsplit";
        List<object?> parts;
        if (bound[0] is null or Missing)
        {
            parts = fromRight ? WordsFromRight(text, limit) : Words(text, limit);
        }
        else
        {
            string separator = TextSearch.RequireText(bound[0], method + "()");
            if (separator.Length == 0)
            {
                throw new TemplateException("empty separator");
            }

            parts = fromRight ? AtFromRight(text, separator, limit) : At(text, separator, limit);
        }

        state.Charge(parts.Count);
        return new TemplateList([.. parts]);
    }

    /// <summary>str.partition and rpartition.</summary>
    public static object Partition(string text, CallArguments arguments, string method)
    {
        string separator = TextSearch.RequireText(arguments.Bind(method, 1, "sep")[0], method + "()");
        if (separator.Length == 0)
        {
            throw new TemplateException("empty separator");
        }

        bool last = method == "rpartition";
        int at = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        object?[] parts = at >= 0 ? [text[..at], separator, text[(at + separator.Length)..]] : last ? ["", "", text] : [text, "", ""];
        return new TemplateTuple(parts);
    }

    /// <summary>str.splitlines.</summary>
    public static object Lines(RenderState state, string text, CallArguments arguments)
    {
        bool keepEnds = arguments.Bind("splitlines", 0, "keepends")[0] is var keep and not Missing && PythonTypes.IsTrue(keep);
        var lines = new List<object?>();
        for (int start = 0; start < text.Length;)
        {
            int end = text.AsSpan(start).IndexOfAny(LineEnds);
            int stop = end < 0 ? text.Length : start + end;
            int next = end < 0 ? stop : stop + (text[stop] == '\r' && stop + 1 < text.Length && text[stop + 1] == '\n' ? 2 : 1);
            lines.Add(text[start..(keepEnds ? next : stop)]);
            start = next;
        }

        state.Charge(lines.Count);
        return new TemplateList([.. lines]);
    }

    private static List<object?> At(string text, string separator, long limit)
    {
        var parts = new List<object?>();
        int start = 0;
        while (limit < 0 || parts.Count < limit)
        {
            int at = text.IndexOf(separator, start, StringComparison.Ordinal);
            if (at < 0)
            {
                break;
            }

            parts.Add(text[start..at]);
            start = at + separator.Length;
        }

        parts.Add(text[start..]);
        return parts;
    }

    private static List<object?> AtFromRight(string text, string separator, long limit)
    {
        var parts = new List<object?>();
        int end = text.Length;
        while (limit < 0 || parts.Count < limit)
        {
            int at = text.AsSpan(0, end).LastIndexOf(separator, StringComparison.Ordinal);
            if (at < 0)
            {
                break;
            }

            parts.Add(text[(at + separator.Length)..end]);
            end = at;
        }

        parts.Add(text[..end]);
        parts.Reverse();
        return parts;
    }

    private static List<object?> Words(string text, long limit)
    {
        var parts = new List<object?>();
        int at = 0;
        while (true)
        {
            while (at < text.Length && TemplateSyntax.IsSpace(text[at]))
            {
                at++;
            }

            if (at == text.Length)
            {
                return parts;
            }

            int end = at;
            if (limit >= 0 && parts.Count >= limit)
            {
                parts.Add(text[at..].TrimEnd(TextShape.Spaces));
                return parts;
            }

            while (end < text.Length && !TemplateSyntax.IsSpace(text[end]))
            {
                end++;
            }

            parts.Add(text[at..end]);
            at = end;
        }
    }

    private static List<object?> WordsFromRight(string text, long limit)
    {
        var parts = new List<object?>();
        int end = text.Length;
        while (true)
        {
            while (end > 0 && TemplateSyntax.IsSpace(text[end - 1]))
            {
                end--;
            }

            if (end == 0)
            {
                break;
            }

            if (limit >= 0 && parts.Count >= limit)
            {
                parts.Add(text[..end].TrimStart(TextShape.Spaces));
                break;
            }

            int start = end;
            while (start > 0 && !TemplateSyntax.IsSpace(text[start - 1]))
            {
                start--;
            }

            parts.Add(text[start..end]);
            end = start;
        }

        parts.Reverse();
        return parts;
    }
}
