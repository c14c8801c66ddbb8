using System.Globalization;
using System.Numerics;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Python's json.dumps with its options.</summary>
/// <param name="state">The render, for its limits.</param>
/// <param name="ensureAscii">Whether everything beyond ASCII is escaped.</param>
/// <param name="indent">The text of one level of indentation; null for a single line.</param>
/// <param name="itemSeparator">Between elements.</param>
/// <param name="keySeparator">Between key and value.</param>
/// <param name="sortKeys">Whether keys are sorted.</param>
internal sealed class JsonDump(
    RenderState state, bool ensureAscii, string? indent, string itemSeparator, string keySeparator, bool sortKeys)
{
    private readonly StringBuilder _text = new();

    /// <summary>The JSON text.</summary>
    /// <exception cref="TemplateException">A value that JSON has no form for: undefined, generator, namespace, macro.</exception>
    public string Write(object? value)
    {
        Append(value, 0);
        return _text.ToString();
    }

    private void Append(object? value, int depth)
    {
        PythonTypes.RequireDepth(depth);
        state.Charge(1);
        state.RequireText(_text.Length);
        switch (value)
        {
            case string or Markup:
                AppendText(PythonTypes.AsText(value)!);
                break;
            case TemplateSequence sequence:
                AppendAll('[', sequence.Items, ']', depth, item => Append(item, depth + 1));
                break;
            case TemplateDict dict:
                AppendDict(dict, depth);
                break;
            default:
                _text.Append(Scalar(value)
                    ?? throw new TemplateException($"Object of type {PythonTypes.NameOf(value)} is not JSON serializable"));
                break;
        }
    }

    private static string? Scalar(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        long number => number.ToString(CultureInfo.InvariantCulture),
        BigInteger number => number.ToString(CultureInfo.InvariantCulture),
        double number => double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity")
            : PythonNumbers.Repr(number),
        _ => null,
    };

    private void AppendDict(TemplateDict dict, int depth)
    {
        IEnumerable<KeyValuePair<object?, object?>> entries = dict;
        if (sortKeys)
        {
            entries = OrderFilters.Sorted(state, dict.Keys, key => key, reverse: false)
                .Select(key => new KeyValuePair<object?, object?>(key, dict.TryGet(key, out object? value) ? value : null));
        }

        AppendAll('{', entries, '}', depth, entry =>
        {
            string key = PythonTypes.AsText(entry.Key) ?? Scalar(entry.Key)
                ?? throw new TemplateException("keys must be str, int, float, bool or None, not " + PythonTypes.NameOf(entry.Key));
            AppendText(key);
            _text.Append(keySeparator);
            Append(entry.Value, depth + 1);
        });
    }

    private void AppendAll<T>(char open, IEnumerable<T> items, char close, int depth, Action<T> append)
    {
        _text.Append(open);
        bool any = false;
        foreach (T item in items)
        {
            _text.Append(any ? itemSeparator : "");
            AppendLine(depth + 1);
            append(item);
            any = true;
        }

        if (any)
        {
            AppendLine(depth);
        }

        _text.Append(close);
    }

    private void AppendLine(int depth)
    {
        if (indent is null)
        {
            return;
        }

        state.RequireText((long)indent.Length * depth);
        _text.Append('\n');
        for (int i = 0; i < depth; i++)
        {
            _text.Append(indent);
        }
    }

    private void AppendText(string value)
    {
        state.ChargeText(value.Length);
        _text.Append('"');
        foreach (char c in value)
        {
            switch (c)
            {
                case '"' or '\\':
                    _text.Append('\\').Append(c);
                    break;
                case '\n':
                    _text.Append("\\n");
                    break;
                case '\r':
                    _text.Append("\\r");
                    break;
                case '\t':
                    _text.Append("\\t");
                    break;
                case '\b':
                    _text.Append("\\b");
                    break;
                case '\f':
                    _text.Append("\\f");
                    break;
                case < ' ':
                case > '~' when ensureAscii:
                    _text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
                    break;
                default:
                    _text.Append(c);
                    break;
            }
        }

        _text.Append('"');
    }
}
