using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>
/// str.format with automatic, numbered and named fields, !s and !r, and format specs of fill, alignment, width and, for numbers,
/// precision and type. Attribute and element access inside a field is refused.
/// </summary>
internal static class BraceFormat
{
    /// <summary>The formatted text.</summary>
    /// <exception cref="TemplateException">A field has no value, or the format uses what is not supported.</exception>
    public static string Format(RenderState state, string format, CallArguments arguments)
    {
        var text = new StringBuilder();
        int automatic = 0;
        for (int i = 0; i < format.Length; i++)
        {
            char c = format[i];
            if (c is not ('{' or '}'))
            {
                text.Append(c);
            }
            else if (i + 1 < format.Length && format[i + 1] == c)
            {
                text.Append(c);
                i++;
            }
            else
            {
                int end = c == '{' ? format.IndexOf('}', i) : -1;
                if (end < 0)
                {
                    throw new TemplateException($"Single '{c}' encountered in format string");
                }

                text.Append(Field(state, format[(i + 1)..end], arguments, ref automatic));
                state.RequireText(text.Length);
                i = end;
            }
        }

        return text.ToString();
    }

    private static string Field(RenderState state, string field, CallArguments arguments, ref int automatic)
    {
        int colon = field.IndexOf(':', StringComparison.Ordinal);
        string spec = colon < 0 ? "" : field[(colon + 1)..];
        string name = colon < 0 ? field : field[..colon];
        char conversion = name.Length > 1 && name[^2] == '!' ? name[^1] : '\0';
        name = conversion == '\0' ? name : name[..^2];
        if (name.AsSpan().ContainsAny('.', '[', '{') || spec.Contains('{', StringComparison.Ordinal) || conversion is not ('\0' or 's' or 'r'))
        {
            throw new TemplateException($"the format field '{field}' is not supported");
        }

        object? value = Value(name, arguments, ref automatic);
        value = conversion == 's' ? PythonText.Str(state, value) : conversion == 'r' ? PythonText.Repr(state, value) : value;
        return spec.Length == 0 ? PythonText.Str(state, value) : WithSpec(state, value, spec);
    }

    private static object? Value(string name, CallArguments arguments, ref int automatic)
    {
        if (name.Length == 0 || char.IsAsciiDigit(name[0]))
        {
            int index = name.Length == 0 ? automatic++
                : int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : int.MaxValue;
            return index < arguments.Positional.Length ? arguments.Positional[index] : throw new TemplateException(
                $"Replacement index {index} out of range for positional args tuple");
        }

        foreach ((string key, object? value) in arguments.Named)
        {
            if (key == name)
            {
                return value;
            }
        }

        throw new TemplateException($"KeyError: '{name}'");
    }

    private static string WithSpec(RenderState state, object? value, string spec)
    {
        int at = 0;
        string fill = " ";
        char align = '\0';
        if (spec.Length > 1 && spec[1] is '<' or '>' or '^')
        {
            fill = spec[..1];
            align = spec[1];
            at = 2;
        }
        else if (spec[0] is '<' or '>' or '^')
        {
            align = spec[0];
            at = 1;
        }

        bool zero = at < spec.Length && spec[at] == '0';
        int width = Digits(spec, ref at) ?? 0;
        int? precision = null;
        if (at < spec.Length && spec[at] == '.')
        {
            at++;
            precision = Digits(spec, ref at) ?? throw new TemplateException("Format specifier missing precision");
        }

        string kind = spec[at..];
        state.ChargeText(Math.Max(width, precision ?? 0));
        string body = Body(state, value, kind, precision, spec);
        long pad = width - CodePoints.Length(body);
        if (pad <= 0)
        {
            return body;
        }

        bool isNumber = PythonNumbers.IsNumber(value);
        if (zero && align == '\0' && isNumber)
        {
            int sign = body.StartsWith('-') ? 1 : 0;
            return body[..sign] + new string('0', (int)pad) + body[sign..];
        }

        align = align == '\0' ? (isNumber ? '>' : '<') : align;
        int left = align == '<' ? 0 : align == '>' ? (int)pad : (int)(pad / 2);
        return new string(fill[0], left) + body + new string(fill[0], (int)pad - left);
    }

    private static string Body(RenderState state, object? value, string kind, int? precision, string spec)
    {
        switch (kind)
        {
            case "" or "s" when PythonTypes.AsText(value) is string text:
                return precision is int count ? CodePoints.Substring(text, 0, Math.Min(count, CodePoints.Length(text))) : text;
            case "" when precision is null && PythonNumbers.IsNumber(value):
                return PythonText.Str(state, value);
            case "d" when PythonNumbers.IsInteger(value):
                return NumberFormat.Digits(PythonNumbers.ToBig(value!), 10, 1);
            case "x" or "X" when PythonNumbers.IsInteger(value):
                string hex = NumberFormat.Digits(PythonNumbers.ToBig(value!), 16, 1);
                return kind == "X" ? hex.ToUpperInvariant() : hex;
            case "e" or "E" or "f" or "F" or "g" or "G" when PythonNumbers.IsNumber(value):
                return NumberFormat.Real(PythonNumbers.ToDouble(value!), kind[0], precision ?? 6);
            default:
                throw new TemplateException($"the format '{spec}' of a {PythonTypes.NameOf(value)} is not supported");
        }
    }

    private static int? Digits(string spec, ref int at)
    {
        int start = at;
        while (at < spec.Length && char.IsAsciiDigit(spec[at]))
        {
            at++;
        }

        return at == start ? null
            : int.TryParse(spec.AsSpan(start, at - start), NumberStyles.None, CultureInfo.InvariantCulture, out int value)
                ? value : throw new TemplateException("Too many decimal digits in format string");
    }
}
