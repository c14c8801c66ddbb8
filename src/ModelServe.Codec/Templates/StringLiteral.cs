using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Templates;

/// <summary>Undoes the escapes of a string literal by Python's rules: unknown escapes stay as written.</summary>
internal static class StringLiteral
{
    /// <summary>The string that the literal's body stands for.</summary>
    /// <exception cref="UnsupportedFeatureException">A broken \x, \u or \U escape, or a \N{name} escape.</exception>
    public static string Unescape(string body, int line)
    {
        if (!body.Contains('\\', StringComparison.Ordinal))
        {
            return body;
        }

        var text = new StringBuilder(body.Length);
        for (int i = 0; i < body.Length; i++)
        {
            if (body[i] != '\\' || i + 1 >= body.Length)
            {
                text.Append(body[i]);
                continue;
            }

            char c = body[++i];
            switch (c)
            {
                case '\n':
                    break;
                case '\\' or '\'' or '"':
                    text.Append(c);
                    break;
                case 'x':
                    i = AppendHex(text, body, i, 2, line);
                    break;
                case 'u':
                    i = AppendHex(text, body, i, 4, line);
                    break;
                case 'U':
                    i = AppendHex(text, body, i, 8, line);
                    break;
                case 'N':
                    throw TemplateSyntax.Error(line, "the string escape \\N is not supported");
                case >= '0' and <= '7':
                    i = AppendOctal(text, body, i);
                    break;
                default:
                    int simple = "abfnrtv".IndexOf(c, StringComparison.Ordinal);
                    text.Append(simple >= 0 ? "\a\b\f\n\r\t\v"[simple].ToString() : $"\\{c}");
                    break;
            }
        }

        return text.ToString();
    }

    private static int AppendHex(StringBuilder text, string body, int at, int digits, int line)
    {
        if (at + digits >= body.Length
            || !int.TryParse(body.AsSpan(at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code)
            || code is < 0 or > 0x10FFFF)
        {
            throw TemplateSyntax.Error(line, $"a broken \\{body[at]} escape in a string");
        }

        AppendCode(text, code);
        return at + digits;
    }

    private static int AppendOctal(StringBuilder text, string body, int at)
    {
        int code = 0;
        int end = at;
        while (end < body.Length && end < at + 3 && body[end] is >= '0' and <= '7')
        {
            code = (code * 8) + (body[end++] - '0');
        }

        AppendCode(text, code);
        return end - 1;
    }

    private static void AppendCode(StringBuilder text, int code)
    {
        if (code < 0x10000)
        {
            text.Append((char)code);
        }
        else
        {
            text.Append(char.ConvertFromUtf32(code));
        }
    }
}
