using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>The filters on text.</summary>
internal static class TextFilters
{
    /// <summary>A case filter; markup stays markup.</summary>
    public static object Map(RenderState state, object? value, CallArguments arguments, string filter, Func<string, string> map)
    {
        arguments.Bind(filter, 0);
        return value is Markup markup ? new Markup(map(markup.Text)) : map(PythonText.Str(state, value));
    }

    /// <summary>The title filter: words start after white space, hyphens and opening brackets.</summary>
    public static string TitleWords(string text)
    {
        var titled = new StringBuilder(text.Length);
        bool starts = true;
        var word = new StringBuilder();
        void Flush()
        {
            if (word.Length > 0)
            {
                string whole = word.ToString();
                titled.Append(TextCase.Upper(whole[..1])).Append(TextCase.Lower(whole[1..]));
                word.Clear();
            }
        }

        foreach (char c in text)
        {
            starts = c is '-' or '(' or '{' or '[' or '<' || TemplateSyntax.IsSpace(c);
            if (starts)
            {
                Flush();
                titled.Append(c);
            }
            else
            {
                word.Append(c);
            }
        }

        Flush();
        return titled.ToString();
    }

    /// <summary>center.</summary>
    public static object Center(RenderState state, object? value, CallArguments arguments)
    {
        object? width = arguments.Bind("center", 0, "width")[0];
        string text = TextShape.Center(state, PythonText.Str(state, value), width is Missing ? 80 : PythonNumbers.RequireLong(width, "width"));
        return value is Markup ? new Markup(text) : text;
    }

    /// <summary>escape.</summary>
    public static object Escape(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("escape", 0);
        return value is Markup ? value : new Markup(Markup.Escape(PythonText.Str(state, value)));
    }

    /// <summary>format: Python's % with the arguments.</summary>
    public static object Format(RenderState state, object? value, CallArguments arguments)
    {
        if (arguments.Positional.Length > 0 && arguments.Named.Length > 0)
        {
            throw new TemplateException("can't handle positional and keyword arguments at the same time");
        }

        var named = new TemplateDict(arguments.Named.Length);
        foreach ((string name, object? item) in arguments.Named)
        {
            named.Set(name, item);
        }

        object values = arguments.Named.Length > 0 ? named : new TemplateTuple(arguments.Positional);
        return PrintfFormat.Format(state, PythonText.Str(state, value), values, value is Markup);
    }

    /// <summary>indent.</summary>
    public static object Indent(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("indent", 0, "width", "first", "blank");
        string indention = PythonTypes.AsText(bound[0])
            ?? new string(' ', (int)Bounded(state, bound[0] is Missing ? 4 : PythonNumbers.RequireLong(bound[0], "width")));
        bool blank = bound[2] is not Missing && PythonTypes.IsTrue(bound[2]);
        string text = (PythonTypes.AsText(value) ?? throw new TemplateException(
            $"indent needs a string, not {PythonTypes.NameOf(value)}")) + "\n";
        object?[] lines = ((TemplateList)TextSplit.Lines(state, text, CallArguments.Empty)).Items;
        var indented = new StringBuilder();
        for (int i = 0; i < lines.Length; i++)
        {
            string line = (string)lines[i]!;
            bool indents = i > 0 && (blank || line.Length > 0);
            state.ChargeText(indented.Length > 0 ? line.Length + indention.Length : 0);
            indented.Append(i > 0 ? "\n" : "").Append(indents ? indention : "").Append(line);
            state.RequireText(indented.Length);
        }

        string result = bound[1] is not Missing && PythonTypes.IsTrue(bound[1]) ? indention + indented : indented.ToString();
        return value is Markup ? new Markup(result) : result;
    }

    /// <summary>replace: always plain text, as without automatic escaping.</summary>
    public static object Replace(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("replace", 2, "old", "new", "count");
        long count = bound[2] is Missing or null ? -1 : PythonNumbers.RequireLong(bound[2], "count");
        return TextShape.Replace(state, PythonText.Str(state, value), PythonText.Str(state, bound[0]), PythonText.Str(state, bound[1]), count);
    }

    /// <summary>striptags: without comments and tags, white space collapsed.</summary>
    public static object StripTags(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("striptags", 0);
        string text = PythonText.Str(state, value);
        text = Without(text, "<!--", "-->");
        text = Without(text, "<", ">");
        object?[] words = ((TemplateList)TextSplit.Split(state, text, CallArguments.Empty, "split")).Items;
        return string.Join(' ', words)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal)
            .Replace("&#39;", "'", StringComparison.Ordinal).Replace("&#34;", "\"", StringComparison.Ordinal)
            .Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal);
    }

    /// <summary>tojson as transformers defines it: json.dumps, without ASCII or HTML escaping.</summary>
    public static object ToJson(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("tojson", 0, "ensure_ascii", "indent", "separators", "sort_keys");
        string? indent = bound[1] switch
        {
            null or Missing => null,
            string text => text,
            _ => new string(' ', (int)Bounded(state, PythonNumbers.RequireLong(bound[1], "indent"))),
        };
        string item = indent is null ? ", " : ",";
        string key = ": ";
        if (bound[2] is not (null or Missing))
        {
            object?[] given = PythonIteration.ToArray(state, bound[2]);
            if (given.Length != 2)
            {
                throw new TemplateException("separators must be a pair");
            }

            item = TextSearch.RequireText(given[0], "separators");
            key = TextSearch.RequireText(given[1], "separators");
        }

        bool ascii = bound[0] is not Missing && PythonTypes.IsTrue(bound[0]);
        bool sort = bound[3] is not Missing && PythonTypes.IsTrue(bound[3]);
        return new JsonDump(state, ascii, indent, item, key, sort).Write(value);
    }

    /// <summary>trim.</summary>
    public static object Trim(RenderState state, object? value, CallArguments arguments)
    {
        object? chars = arguments.Bind("trim", 0, "chars")[0];
        string text = PythonText.Str(state, value);
        state.ChargeText(text.Length);
        string trimmed = TextShape.Strip(text, chars is Missing ? null : chars, left: true, right: true);
        return value is Markup ? new Markup(trimmed) : trimmed;
    }

    /// <summary>truncate.</summary>
    public static object Truncate(RenderState state, object? value, CallArguments arguments)
    {
        object?[] bound = arguments.Bind("truncate", 0, "length", "killwords", "end", "leeway");
        long length = bound[0] is Missing ? 255 : PythonNumbers.RequireLong(bound[0], "length");
        string end = bound[2] is Missing ? "..." : TextSearch.RequireText(bound[2], "end");
        long leeway = bound[3] is Missing or null ? 5 : PythonNumbers.RequireLong(bound[3], "leeway");
        long endLength = CodePoints.Length(end);
        if (length < endLength || leeway < 0)
        {
            throw new TemplateException($"expected length >= {endLength} and leeway >= 0, got {length} and {leeway}");
        }

        string text = PythonTypes.AsText(value)
            ?? throw new TemplateException($"truncate needs a string, not {PythonTypes.NameOf(value)}");
        int count = CodePoints.Length(text);
        if (count <= length + leeway)
        {
            return value!;
        }

        string kept = CodePoints.Substring(text, 0, (int)Math.Min(count, length - endLength));
        int space = kept.LastIndexOf(' ');
        string cut = bound[1] is not Missing && PythonTypes.IsTrue(bound[1]) || space < 0 ? kept : kept[..space];
        return value is Markup ? new Markup(cut + Markup.Escape(end)) : cut + end;
    }

    /// <summary>urlencode: percent-encoding of text, or of pairs as a query.</summary>
    public static object UrlEncode(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("urlencode", 0);
        if (value is string or Markup || !PythonIteration.TryEnumerate(state, value, out _))
        {
            return Quote(PythonText.Str(state, value), isQuery: false);
        }

        object?[] pairs = value is TemplateDict dict ? dict.Pairs : PythonIteration.ToArray(state, value);
        var parts = new List<string>();
        foreach (object? pair in pairs)
        {
            object?[] both = PythonIteration.ToArray(state, pair);
            parts.Add(both.Length == 2
                ? Quote(PythonText.Str(state, both[0]), isQuery: true) + "=" + Quote(PythonText.Str(state, both[1]), isQuery: true)
                : throw new TemplateException("urlencode needs pairs"));
        }

        return string.Join('&', parts);
    }

    /// <summary>wordcount.</summary>
    public static object WordCount(RenderState state, object? value, CallArguments arguments)
    {
        arguments.Bind("wordcount", 0);
        long count = 0;
        bool inWord = false;
        foreach (char c in PythonText.Str(state, value))
        {
            bool isWord = char.IsLetterOrDigit(c) || c == '_';
            count += isWord && !inWord ? 1 : 0;
            inWord = isWord;
        }

        return Boxed.Of(count);
    }

    private static long Bounded(RenderState state, long width)
    {
        state.ChargeText(Math.Max(0, width));
        return Math.Max(0, width);
    }

    private static string Without(string text, string open, string close)
    {
        var kept = new StringBuilder(text.Length);
        int from = 0;
        while (true)
        {
            int start = text.IndexOf(open, from, StringComparison.Ordinal);
            int end = start < 0 ? -1 : text.IndexOf(close, start, StringComparison.Ordinal);
            if (end < 0)
            {
                return kept.Append(text, from, text.Length - from).ToString();
            }

            kept.Append(text, from, start - from);
            from = end + close.Length;
        }
    }

    private static string Quote(string text, bool isQuery)
    {
        var quoted = new StringBuilder(text.Length);
        foreach (byte b in Encoding.UTF8.GetBytes(text))
        {
            char c = (char)b;
            if (char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' or '~' || (c == '/' && !isQuery))
            {
                quoted.Append(c);
            }
            else
            {
                quoted.Append(c == ' ' && isQuery ? "+" : $"%{b:X2}");
            }
        }

        return quoted.ToString();
    }
}
