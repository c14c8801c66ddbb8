using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>The string methods that strip, pad, join and replace.</summary>
internal static class TextShape
{
    /// <summary>All characters that Python strips by default.</summary>
    public static readonly char[] Spaces =
        [.. Enumerable.Range(0, 0x10000).Select(code => (char)code).Where(TemplateSyntax.IsSpace)];

    /// <summary>str.strip, lstrip and rstrip.</summary>
    public static string Strip(string text, CallArguments arguments, string method)
    {
        object? given = arguments.Bind(method, 0, "chars")[0];
        return Strip(text, given is Missing ? null : given, left: method != "rstrip", right: method != "lstrip");
    }

    /// <summary>Strips white space, or the characters of the given string.</summary>
    public static string Strip(string text, object? given, bool left, bool right)
    {
        string? set = given is null ? null : PythonTypes.AsText(given) ?? throw new TemplateException("strip arg must be None or str");
        bool Strips(Rune rune) => set is null
            ? rune.IsBmp && TemplateSyntax.IsSpace((char)rune.Value)
            : set.Contains(rune.ToString(), StringComparison.Ordinal);

        int start = 0;
        int end = text.Length;
        while (left && start < end && Rune.DecodeFromUtf16(text.AsSpan(start, end - start), out Rune first, out int size)
            == System.Buffers.OperationStatus.Done && Strips(first))
        {
            start += size;
        }

        while (right && end > start && Rune.DecodeLastFromUtf16(text.AsSpan(start, end - start), out Rune last, out int size)
            == System.Buffers.OperationStatus.Done && Strips(last))
        {
            end -= size;
        }

        return text[start..end];
    }

    /// <summary>str.removeprefix and removesuffix.</summary>
    public static string Remove(string text, CallArguments arguments, string method)
    {
        string part = TextSearch.RequireText(arguments.Bind(method, 1, "affix")[0], method + "()");
        return method == "removeprefix"
            ? (text.StartsWith(part, StringComparison.Ordinal) ? text[part.Length..] : text)
            : (text.EndsWith(part, StringComparison.Ordinal) ? text[..^part.Length] : text);
    }

    /// <summary>str.replace.</summary>
    public static string Replace(RenderState state, string text, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("replace", 2, "old", "new", "count");
        return Replace(state, text, TextSearch.RequireText(bound[0], "replace()"), TextSearch.RequireText(bound[1], "replace()"),
            bound[2] is Missing or null ? -1 : PythonNumbers.RequireLong(bound[2], "count"));
    }

    /// <summary>Replaces up to <paramref name="count"/> occurrences, all when it is negative.</summary>
    public static string Replace(RenderState state, string text, string old, string with, long count)
    {
        state.ChargeText(text.Length);
        if (count == 0)
        {
            return text;
        }

        var replaced = new StringBuilder(text.Length);
        int from = 0;
        int copied = 0;
        for (; count != 0; count--)
        {
            int at = old.Length > 0 ? text.IndexOf(old, from, StringComparison.Ordinal) : from <= text.Length ? from : -1;
            if (at < 0)
            {
                break;
            }

            replaced.Append(text, copied, at - copied).Append(with);
            copied = at + old.Length;
            from = old.Length > 0 ? copied : at + (at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]) ? 2 : 1);
            state.RequireText(replaced.Length);
        }

        replaced.Append(text, copied, text.Length - copied);
        state.ChargeText(replaced.Length);
        return replaced.ToString();
    }

    /// <summary>str.center.</summary>
    public static string Center(RenderState state, string text, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("center", 1, "width", "fillchar");
        return Center(state, text, PythonNumbers.RequireLong(bound[0], "width"), Fill(bound[1]));
    }

    /// <summary>Pads on both sides; an odd rest goes where Python puts it.</summary>
    public static string Center(RenderState state, string text, long width, string fill = " ")
    {
        long pad = width - CodePoints.Length(text);
        if (pad <= 0)
        {
            return text;
        }

        state.ChargeText(width * fill.Length);
        long left = (pad / 2) + (pad & width & 1);
        return Repeat(fill, left) + text + Repeat(fill, pad - left);
    }

    /// <summary>str.ljust and rjust.</summary>
    public static string Justify(RenderState state, string text, CallArguments arguments, string method)
    {
        object?[] bound = arguments.Bind(method, 1, "width", "fillchar");
        string fill = Fill(bound[1]);
        long pad = Math.Max(0, PythonNumbers.RequireLong(bound[0], "width") - CodePoints.Length(text));
        state.ChargeText(pad);
        return method == "ljust" ? text + Repeat(fill, pad) : Repeat(fill, pad) + text;
    }

    /// <summary>str.zfill.</summary>
    public static string ZeroFill(RenderState state, string text, CallArguments arguments)
    {
        long pad = PythonNumbers.RequireLong(arguments.Bind("zfill", 1, "width")[0], "width") - CodePoints.Length(text);
        state.ChargeText(Math.Max(0, pad));
        return pad <= 0 ? text
            : text.Length > 0 && text[0] is '+' or '-' ? text[0] + Repeat("0", pad) + text[1..] : Repeat("0", pad) + text;
    }

    /// <summary>str.join: the elements must be strings.</summary>
    public static string Join(RenderState state, string text, CallArguments arguments)
    {
        object?[] items = PythonIteration.ToArray(state, arguments.Bind("join", 1, "iterable")[0]);
        var parts = new string[items.Length];
        for (int i = 0; i < items.Length; i++)
        {
            parts[i] = PythonTypes.AsText(items[i]) ?? throw new TemplateException(
                $"sequence item {i}: expected str instance, {PythonTypes.NameOf(items[i])} found");
        }

        return Join(state, text, parts);
    }

    /// <summary>Joins strings.</summary>
    public static string Join(RenderState state, string separator, string[] parts)
    {
        long length = (long)separator.Length * Math.Max(0, parts.Length - 1);
        foreach (string part in parts)
        {
            length += part.Length;
        }

        state.ChargeText(length);
        return string.Join(separator, parts);
    }

    private static string Repeat(string fill, long count) =>
        fill.Length == 1 ? new string(fill[0], (int)count) : string.Concat(Enumerable.Repeat(fill, (int)count));

    private static string Fill(object? given)
    {
        string fill = given is Missing ? " " : TextSearch.RequireText(given, "fillchar");
        return CodePoints.Length(fill) == 1 ? fill : throw new TemplateException("The fill character must be exactly one character long");
    }
}
