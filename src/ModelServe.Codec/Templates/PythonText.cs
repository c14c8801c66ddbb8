using System.Globalization;
using System.Numerics;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Python's str() and repr().</summary>
internal static class PythonText
{
    /// <summary>What printing the value writes.</summary>
    public static string Str(RenderState? state, object? value) => value switch
    {
        string text => text,
        Markup markup => markup.Text,
        Undefined => "",
        _ => Repr(state, value),
    };

    /// <summary>Python's repr; the length is bounded by the render's limits.</summary>
    public static string Repr(RenderState? state, object? value)
    {
        switch (value)
        {
            case long number:
                return number.ToString(CultureInfo.InvariantCulture);
            case null:
                return "None";
            case bool flag:
                return flag ? "True" : "False";
            default:
                var text = new StringBuilder();
                Append(state, text, value, 0);
                return text.ToString();
        }
    }

    private static void Append(RenderState? state, StringBuilder text, object? value, int depth)
    {
        PythonTypes.RequireDepth(depth);
        state?.Charge(1);
        state?.RequireText(text.Length);
        switch (value)
        {
            case string plain:
                AppendQuoted(text, plain);
                break;
            case Markup markup:
                text.Append("Markup(");
                AppendQuoted(text, markup.Text);
                text.Append(')');
                break;
            case double number:
                text.Append(PythonNumbers.Repr(number));
                break;
            case BigInteger number:
                text.Append(number.ToString(CultureInfo.InvariantCulture));
                break;
            case TemplateList list:
                AppendItems(state, text, '[', list.Items, ']', depth);
                break;
            case TemplateTuple tuple:
                AppendItems(state, text, '(', tuple.Items, ')', depth);
                break;
            case TemplateDict dict:
                AppendEntries(state, text, dict.Select(entry => (entry.Key, entry.Value)), depth);
                break;
            case DictView view:
                text.Append(view.TypeName).Append('(');
                AppendItems(state, text, '[', view.Items, ']', depth);
                text.Append(')');
                break;
            case TemplateNamespace space:
                text.Append("<Namespace ");
                AppendEntries(state, text, space.Attributes.Select(entry => ((object?)entry.Key, entry.Value)), depth);
                text.Append('>');
                break;
            case TemplateRange range:
                text.Append(CultureInfo.InvariantCulture, $"range({range.Start}, {range.Stop}");
                text.Append(range.Step == 1 ? ")" : string.Create(CultureInfo.InvariantCulture, $", {range.Step})"));
                break;
            case Undefined:
                text.Append("Undefined");
                break;
            case TemplateMacro macro:
                text.Append("<Macro '").Append(macro.Name).Append("'>");
                break;
            case LoopContext loop:
                text.Append("<LoopContext ").Append(Str(state, loop.Attribute("index"))).Append('/')
                    .Append(Str(state, loop.Attribute("length"))).Append('>');
                break;
            case null or bool or long:
                text.Append(Repr(state, value));
                break;
            default:
                text.Append('<').Append(PythonTypes.NameOf(value)).Append(" object>");
                break;
        }
    }

    private static void AppendItems(RenderState? state, StringBuilder text, char open, object?[] items, char close, int depth)
    {
        text.Append(open);
        for (int i = 0; i < items.Length; i++)
        {
            text.Append(i > 0 ? ", " : "");
            Append(state, text, items[i], depth + 1);
        }

        text.Append(items.Length == 1 && close == ')' ? ",)" : close.ToString());
    }

    private static void AppendEntries(
        RenderState? state, StringBuilder text, IEnumerable<(object? Key, object? Value)> entries, int depth)
    {
        text.Append('{');
        string separator = "";
        foreach ((object? key, object? value) in entries)
        {
            text.Append(separator);
            separator = ", ";
            Append(state, text, key, depth + 1);
            text.Append(": ");
            Append(state, text, value, depth + 1);
        }

        text.Append('}');
    }

    private static void AppendQuoted(StringBuilder text, string value)
    {
        char quote = value.Contains('\'', StringComparison.Ordinal) && !value.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        text.Append(quote);
        for (int i = 0; i < value.Length; i++)
        {
            char c = value[i];
            if (c == quote || c == '\\')
            {
                text.Append('\\').Append(c);
            }
            else if (c is '\n' or '\r' or '\t')
            {
                text.Append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
            }
            else if (c is >= ' ' and < '\x7f')
            {
                text.Append(c);
            }
            else
            {
                int size = i + 1 < value.Length && char.IsSurrogatePair(c, value[i + 1]) ? 2 : 1;
                AppendCode(text, value.AsSpan(i, size));
                i += size - 1;
            }
        }

        text.Append(quote);
    }

    private static void AppendCode(StringBuilder text, ReadOnlySpan<char> code)
    {
        int value = code.Length == 2 ? char.ConvertToUtf32(code[0], code[1]) : code[0];
        if (IsPrintable(value))
        {
            text.Append(code);
        }
        else if (value < 0x100)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\x{value:x2}");
        }
        else if (value < 0x10000)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\u{value:x4}");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"\\U{value:x8}");
        }
    }

    /// <summary>Whether Python prints the code point as itself in a repr.</summary>
    public static bool IsPrintable(int codePoint) => codePoint == ' ' || CharUnicodeInfo.GetUnicodeCategory(codePoint)
        is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
            or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
            or UnicodeCategory.SpaceSeparator);
}
