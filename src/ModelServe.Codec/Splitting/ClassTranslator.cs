using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>The part of <see cref="RegexTranslator"/> that reads character classes, shorthands and escapes.</summary>
/// <param name="reader">Stands behind the opening bracket or backslash.</param>
/// <param name="output">The .NET expression under construction.</param>
/// <param name="foldCase">Whether the class stands under <c>(?i:…)</c>.</param>
internal sealed class ClassTranslator(PatternReader reader, StringBuilder output, bool foldCase)
{
    // Oniguruma's \w by a sweep over all code points; .NET's lacks marks, letter numbers and circled letters.
    private const string WordMembers = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u00B2\u00B3\u00B9\u00BC-\u00BE\u24B6-\u24E9";

    private static readonly HashSet<string> Categories = new(StringComparer.Ordinal)
    {
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No",
        "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Cc", "Cf",
    };

    /// <summary>The char as a literal of a .NET expression, in or outside a class.</summary>
    public static string Quote(char value) => char.IsAsciiLetterOrDigit(value)
        ? value.ToString()
        : string.Create(CultureInfo.InvariantCulture, $"\\u{(int)value:X4}");

    /// <summary>A bracketed class; the opening bracket has been taken.</summary>
    public void Class()
    {
        output.Append('[');
        if (reader.TryTake("^"))
        {
            output.Append('^');
        }
        bool first = true;
        while (first || reader.Next != ']')
        {
            if (reader.Sees("[") || reader.Sees("&&"))
            {
                throw reader.Unsupported(reader.Sees("[") ? "a class inside a class" : "an intersection of classes (&&)");
            }
            if (first && reader.Next == ']')
            {
                throw reader.Unsupported("an empty class or a leading ']'");
            }
            first = false;
            Member();
        }
        reader.Take();
        output.Append(']');
    }

    /// <summary><c>\s</c>, <c>\p{…}</c> and the like; the backslash has been taken.</summary>
    public void Shorthand(bool insideClass)
    {
        char kind = reader.Take();
        switch (kind)
        {
            case 's' or 'S' or 'd' or 'D':
                output.Append('\\').Append(kind);
                break;
            case 'w' when insideClass:
                output.Append(WordMembers);
                break;
            case 'w':
                output.Append('[').Append(WordMembers).Append(']');
                break;
            case 'W' when !insideClass:
                output.Append("[^").Append(WordMembers).Append(']');
                break;
            case 'p' or 'P' when reader.TryTake("{"):
                string name = reader.TakeUntil('}');
                if (!Categories.Contains(name))
                {
                    throw reader.Unsupported($"the property \\{kind}{{{name}}}");
                }
                RefuseFoldedCategory(name);
                output.Append('\\').Append(kind).Append('{').Append(name).Append('}');
                break;
            default:
                throw reader.Unsupported($"the escape \\{kind}");
        }
    }

    /// <summary>An escape that stands for one char; the backslash has been taken.</summary>
    public char EscapedLiteral()
    {
        char kind = reader.Take();
        switch (kind)
        {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'x' when reader.TryTake("{"):
                string digits = reader.TakeUntil('}');
                return ushort.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort code) &&
                    !char.IsSurrogate((char)code)
                    ? (char)code
                    : throw reader.Unsupported($"the escape \\x{{{digits}}}");
            case 'x':
                char low = reader.TakeHex(2);
                return low < 0x80 ? low : throw reader.Unsupported("a raw byte above \\x7F");
            case 'u':
                return reader.TakeHex(4);
            default:
                return char.IsAsciiLetterOrDigit(kind) ? throw reader.Unsupported($"the escape \\{kind}") : kind;
        }
    }

    private void Member()
    {
        if (reader.TryTake("\\"))
        {
            if (reader.Next is 's' or 'S' or 'd' or 'D' or 'w' or 'W' or 'p' or 'P')
            {
                Shorthand(insideClass: true);
                if (reader.Sees("-") && !reader.Sees("-]"))
                {
                    throw reader.Unsupported("a range that begins with a shorthand");
                }
                return;
            }
            Range(EscapedLiteral());
            return;
        }
        Range(reader.Take());
    }

    private void Range(char from)
    {
        char to = from;
        if (reader.Sees("-") && !reader.Sees("-]"))
        {
            reader.Take();
            to = reader.TryTake("\\") ? EscapedLiteral() : reader.Take();
            if (to == '[' || to < from)
            {
                throw reader.Unsupported($"the range '{from}-{to}'");
            }
        }
        output.Append(Quote(from));
        if (to != from)
        {
            output.Append('-').Append(Quote(to));
        }
        if (foldCase)
        {
            Fold(from, to);
        }
    }

    private void Fold(char from, char to)
    {
        for (int code = from; code <= to; code++)
        {
            char value = (char)code;
            if (CaseFolds.HasCase(value))
            {
                output.Append(CaseFolds.Variants(value) ?? throw reader.Unsupported($"the letter '{value}' under (?i:…)"));
            }
        }
    }

    private void RefuseFoldedCategory(string name)
    {
        if (foldCase && name is ("Lu" or "Ll" or "Lt"))
        {
            throw reader.Unsupported($"the property {name} under (?i:…)");
        }
    }
}
