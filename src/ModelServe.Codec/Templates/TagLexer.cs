using System.Globalization;
using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Reads the tokens between a tag's begin and its end: names, numbers, strings and operators, with balanced brackets.</summary>
internal sealed class TagLexer(string source, int position, List<TemplateToken> tokens, Func<int, int> lineAt)
{
    private const int MaxNesting = 60;
    private static readonly string[] LongOperators = ["//", "**", "==", "!=", ">=", "<="];
    private readonly Stack<char> _open = new();

    /// <summary>The position of the next unread character.</summary>
    public int Position { get; private set; } = position;

    /// <summary>Adds all tokens up to the tag's end and stands after it; the strip sign before the end, or '\0'.</summary>
    public char ReadUntil(string end)
    {
        while (Position < source.Length)
        {
            char c = source[Position];
            if (_open.Count == 0 && EndSign(end) is char sign)
            {
                Position += sign == '\0' ? 2 : 3;
                return sign;
            }

            if (TemplateSyntax.IsSpace(c))
            {
                Position++;
            }
            else if (char.IsAsciiDigit(c))
            {
                ReadNumber();
            }
            else if (IsNamePart(c))
            {
                ReadName();
            }
            else if (c is '\'' or '"')
            {
                ReadText(c);
            }
            else
            {
                ReadOperator(c);
            }
        }

        throw TemplateSyntax.Error(lineAt(source.Length), $"the source ends before '{end}'");
    }

    private char? EndSign(string end)
    {
        if (string.CompareOrdinal(source, Position, end, 0, 2) == 0)
        {
            return '\0';
        }

        bool signed = source[Position] == '-' || (source[Position] == '+' && end == "%}");
        return signed && string.CompareOrdinal(source, Position + 1, end, 0, 2) == 0 ? source[Position] : null;
    }

    private static bool IsNamePart(char c) =>
        c == '_' || char.IsLetterOrDigit(c)
        || CharUnicodeInfo.GetUnicodeCategory(c) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;

    private void ReadName()
    {
        int start = Position;
        while (Position < source.Length && IsNamePart(source[Position]))
        {
            Position++;
        }

        tokens.Add(new TemplateToken(TokenKind.Name, source[start..Position], lineAt(start)));
    }

    private void ReadOperator(char c)
    {
        int start = Position;
        string text = c.ToString();
        foreach (string candidate in LongOperators)
        {
            if (string.CompareOrdinal(source, Position, candidate, 0, 2) == 0)
            {
                text = candidate;
            }
        }

        if (text.Length == 1 && !"+-/*%~[](){}><=.:|,;".Contains(c, StringComparison.Ordinal))
        {
            throw TemplateSyntax.Error(lineAt(start), $"unexpected character '{c}'");
        }

        switch (c)
        {
            case '(' or '[' or '{':
                if (_open.Count >= MaxNesting)
                {
                    throw TemplateSyntax.Error(lineAt(start), $"more than {MaxNesting} open brackets");
                }

                _open.Push(c == '(' ? ')' : c == '[' ? ']' : '}');
                break;
            case ')' or ']' or '}' when !_open.TryPop(out char expected) || expected != c:
                throw TemplateSyntax.Error(lineAt(start), $"unexpected '{c}'");
        }

        Position += text.Length;
        tokens.Add(new TemplateToken(TokenKind.Operator, text, lineAt(start)));
    }

    private void ReadText(char quote)
    {
        int start = Position;
        int end = start + 1;
        while (end < source.Length && source[end] != quote)
        {
            end += source[end] == '\\' ? 2 : 1;
        }

        if (end >= source.Length)
        {
            throw TemplateSyntax.Error(lineAt(start), "the string has no end");
        }

        int line = lineAt(start);
        string body = source[(start + 1)..end];
        Position = end + 1;
        tokens.Add(new TemplateToken(TokenKind.Text, body, line, StringLiteral.Unescape(body, line)));
    }

    private int Digits(int at, Func<char, bool> isDigit)
    {
        int from = at;
        while (at < source.Length && (isDigit(source[at])
               || (source[at] == '_' && at > from && at + 1 < source.Length && isDigit(source[at + 1]) && source[at - 1] != '_')))
        {
            at++;
        }

        return at;
    }

    private void ReadNumber()
    {
        int start = Position;
        int line = lineAt(start);
        int end = Digits(start, char.IsAsciiDigit);
        bool afterDot = start > 0 && source[start - 1] == '.';
        int fraction = end + 1 < source.Length && source[end] == '.' ? Digits(end + 1, char.IsAsciiDigit) : end;
        int mantissa = fraction > end + 1 ? fraction : end;
        int exponent = mantissa;
        if (mantissa + 1 < source.Length && source[mantissa] is 'e' or 'E')
        {
            int digits = mantissa + (source[mantissa + 1] is '+' or '-' ? 2 : 1);
            int last = Digits(digits, char.IsAsciiDigit);
            exponent = last > digits ? last : mantissa;
        }

        if (exponent > end && !afterDot)
        {
            Position = exponent;
            string text = source[start..exponent];
            double value = double.Parse(text.Replace("_", "", StringComparison.Ordinal), CultureInfo.InvariantCulture);
            tokens.Add(new TemplateToken(TokenKind.Number, text, line, value));
            return;
        }

        ReadInteger(start, end, line);
    }

    private void ReadInteger(int start, int end, int line)
    {
        char prefix = source[start] == '0' && start + 2 < source.Length ? char.ToLowerInvariant(source[start + 1]) : '\0';
        int radix = prefix switch { 'b' => 2, 'o' => 8, 'x' => 16, _ => 10 };
        int first = start;
        if (radix != 10)
        {
            first = start + 2;
            end = Digits(source[first] == '_' ? first + 1 : first, c => char.IsAsciiHexDigit(c) && Convert.ToInt32(c.ToString(), 16) < radix);
            if (end == first)
            {
                throw TemplateSyntax.Error(line, "a number without digits");
            }
        }

        string digits = source[first..end].Replace("_", "", StringComparison.Ordinal);
        if (radix == 10 && digits.Length > 1 && digits[0] == '0' && digits.Trim('0').Length > 0)
        {
            throw TemplateSyntax.Error(line, "a number with leading zeros");
        }

        if (digits.Length > 1000)
        {
            throw TemplateSyntax.Error(line, "a number of more than 1000 digits");
        }

        BigInteger value = BigInteger.Zero;
        foreach (char c in digits)
        {
            value = (value * radix) + Convert.ToInt32(c.ToString(), 16);
        }

        Position = end;
        tokens.Add(new TemplateToken(TokenKind.Number, source[start..end], line, PythonNumbers.Normalize(value)));
    }
}
