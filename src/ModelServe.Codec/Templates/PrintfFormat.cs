using System.Globalization;
using System.Numerics;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Python's <c>format % values</c>.</summary>
internal sealed class PrintfFormat
{
    private readonly RenderState _state;
    private readonly string _format;
    private readonly object? _values;
    private readonly bool _isMarkup;
    private readonly StringBuilder _text = new();
    private int _position;
    private int _taken;

    private PrintfFormat(RenderState state, string format, object? values, bool isMarkup)
    {
        _state = state;
        _format = format;
        _values = values;
        _isMarkup = isMarkup;
    }

    /// <summary>The formatted text; markup escapes what it takes in and gives markup.</summary>
    /// <exception cref="TemplateException">The values do not fit the format, or a directive is not supported.</exception>
    public static object Format(RenderState state, string format, object? values, bool isMarkup)
    {
        string text = new PrintfFormat(state, format, values, isMarkup).Run();
        return isMarkup ? new Markup(text) : text;
    }

    private string Run()
    {
        while (_position < _format.Length)
        {
            char c = _format[_position++];
            if (c != '%')
            {
                _text.Append(c);
                continue;
            }

            Directive();
            _state.RequireText(_text.Length);
        }

        bool mayIgnore = _values is TemplateDict or TemplateList or DictView;
        int given = _values is TemplateTuple tuple ? tuple.Items.Length : 1;
        return _taken < given && !mayIgnore && (_values is TemplateTuple || _taken == 0)
            ? throw new TemplateException("not all arguments converted during string formatting") : _text.ToString();
    }

    private char Peek() => _position < _format.Length ? _format[_position] : throw new TemplateException("incomplete format");

    private void Directive()
    {
        object? value = Missing.Value;
        if (Peek() == '(')
        {
            int end = _format.IndexOf(')', _position);
            string key = end < 0 ? throw new TemplateException("incomplete format key") : _format[(_position + 1)..end];
            value = _values is TemplateDict dict
                ? (dict.TryGet(key, out object? item) ? item : throw new TemplateException($"KeyError: '{key}'"))
                : throw new TemplateException("format requires a mapping");
            _taken = 1;
            _position = end + 1;
        }

        int flags = _position;
        while (Peek() is '-' or '+' or ' ' or '#' or '0')
        {
            _position++;
        }

        string flag = _format[flags.._position];
        int width = Number() ?? 0;
        if (width < 0)
        {
            flag += "-";
            width = -width;
        }

        int? precision = null;
        if (Peek() == '.')
        {
            _position++;
            precision = Math.Max(0, Number() ?? 0);
        }

        while (Peek() is 'l' or 'h' or 'L')
        {
            _position++;
        }

        char kind = _format[_position++];
        if (kind == '%')
        {
            _text.Append('%');
            return;
        }

        value = ReferenceEquals(value, Missing.Value) ? Take() : value;
        _state.ChargeText(Math.Max(width, precision ?? 0));
        string body = Convert(kind, value, flag, precision);
        bool isNumeric = kind is not ('s' or 'r' or 'a' or 'c');
        _text.Append(Pad(body, flag, width, isNumeric));
    }

    private int? Number()
    {
        if (Peek() == '*')
        {
            _position++;
            return PythonNumbers.RequireInt(Take(), "* wants int");
        }

        int start = _position;
        while (char.IsAsciiDigit(Peek()))
        {
            _position++;
        }

        return _position == start ? null
            : int.TryParse(_format.AsSpan(start, _position - start), NumberStyles.None, CultureInfo.InvariantCulture, out int value)
                ? value : throw new TemplateException("width too big");
    }

    private object? Take()
    {
        if (_values is not TemplateTuple tuple)
        {
            return _taken++ == 0 ? _values : throw new TemplateException("not enough arguments for format string");
        }

        return _taken < tuple.Items.Length ? tuple.Items[_taken++]
            : throw new TemplateException("not enough arguments for format string");
    }

    private string Convert(char kind, object? value, string flag, int? precision)
    {
        switch (kind)
        {
            case 's' or 'r':
                string text = kind == 's' ? PythonText.Str(_state, value) : PythonText.Repr(_state, value);
                text = _isMarkup && value is not Markup ? Markup.Escape(text) : text;
                return precision is int count ? CodePoints.Substring(text, 0, Math.Min(count, CodePoints.Length(text))) : text;
            case 'd' or 'i' or 'u':
                return Signed(NumberFormat.Digits(Whole(value, kind), 10, precision ?? 1), flag);
            case 'x' or 'X' or 'o':
                BigInteger integer = value is double ? throw Mismatch(kind, "an integer", value) : Whole(value, kind);
                string digits = NumberFormat.Digits(integer, kind == 'o' ? 8 : 16, precision ?? 1);
                string prefix = flag.Contains('#', StringComparison.Ordinal) ? (kind == 'o' ? "0o" : "0x") : "";
                digits = digits.StartsWith('-') ? "-" + prefix + digits[1..] : prefix + digits;
                return Signed(kind == 'X' ? digits.ToUpperInvariant() : digits, flag);
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                double real = PythonNumbers.IsNumber(value) ? PythonNumbers.ToDouble(value!) : throw Mismatch(kind, "a real number", value);
                return Signed(NumberFormat.Real(real, kind, precision ?? 6), flag);
            case 'c':
                return PythonTypes.AsText(value) is string single && CodePoints.Length(single) == 1 ? single
                    : value is long code and >= 0 and < 0x110000 and not (>= 0xD800 and < 0xE000) ? char.ConvertFromUtf32((int)code)
                    : throw new TemplateException("%c requires int or char");
            default:
                throw new TemplateException($"the format character '{kind}' is not supported");
        }
    }

    private static BigInteger Whole(object? value, char kind) => value switch
    {
        double real when double.IsFinite(real) => new BigInteger(Math.Truncate(real)),
        _ => PythonNumbers.IsInteger(value) ? PythonNumbers.ToBig(value!) : throw Mismatch(kind, "a real number", value),
    };

    private static TemplateException Mismatch(char kind, string wanted, object? value) =>
        new($"%{kind} format: {wanted} is required, not {PythonTypes.NameOf(value)}");

    private static string Signed(string digits, string flag) => digits.StartsWith('-') ? digits
        : flag.Contains('+', StringComparison.Ordinal) ? "+" + digits
        : flag.Contains(' ', StringComparison.Ordinal) ? " " + digits : digits;

    private static string Pad(string body, string flag, int width, bool isNumeric)
    {
        int pad = width - CodePoints.Length(body);
        if (pad <= 0)
        {
            return body;
        }

        if (flag.Contains('-', StringComparison.Ordinal))
        {
            return body + new string(' ', pad);
        }

        if (!isNumeric || !flag.Contains('0', StringComparison.Ordinal))
        {
            return new string(' ', pad) + body;
        }

        int sign = body[0] is '-' or '+' or ' ' ? 1 : 0;
        sign += body.Length > sign + 1 && body[sign] == '0' && body[sign + 1] is 'x' or 'X' or 'o' ? 2 : 0;
        return body[..sign] + new string('0', pad) + body[sign..];
    }
}
