using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>Reads the regular part of ECMAScript's regular expressions. Bounded, linear; recursion no deeper than the limit.</summary>
/// <remarks>
/// Groups, alternatives, classes, \d \w \s and their complements, \b outside of classes not, quantifiers (lazy ones match the
/// same texts), \uXXXX, \u{…}, \xXX, and ^ and $ at the ends of the expression or of one of its top alternatives.
/// Look-around, back references and word borders are refused by name.
/// </remarks>
internal sealed class RegexParser
{
    private static readonly CodePointSet Digits = CodePointSet.Of(('0', '9'));
    private static readonly CodePointSet Word = CodePointSet.Of(('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z'));
    private static readonly CodePointSet Space = CodePointSet.Of(
        (9, 13), (32, 32), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF));

    private static readonly CodePointSet Dot = CodePointSet.Of(('\n', '\n'), ('\r', '\r'), (0x2028, 0x2029)).Complement();

    private readonly RuneCursor _text;
    private readonly string _place;
    private readonly Func<CodePointSet, RuleNode> _characters;
    private readonly GrammarLimits _limits;
    private int _depth;

    private RegexParser(string pattern, string place, Func<CodePointSet, RuleNode> characters, GrammarLimits limits)
    {
        _text = new RuneCursor(pattern);
        _place = place;
        _characters = characters;
        _limits = limits;
    }

    /// <summary>What a pattern matches.</summary>
    /// <param name="pattern">The expression.</param>
    /// <param name="isSearch">Whether it may match anywhere in the text, unless ^ and $ say otherwise; else it matches the whole text.</param>
    /// <param name="characters">How one scalar value of a set is spelled in bytes.</param>
    /// <param name="limits">Bounds.</param>
    /// <param name="place">Where the pattern stands, for the refusal.</param>
    /// <exception cref="InvalidGrammarException">It is malformed, too large, or not regular.</exception>
    public static RuleNode Parse(string pattern, bool isSearch, Func<CodePointSet, RuleNode> characters, GrammarLimits limits, string place)
    {
        if (pattern.Length > limits.SourceCharacters)
        {
            throw new InvalidGrammarException(place, $"a pattern of at most {limits.SourceCharacters} characters; got {pattern.Length}");
        }

        var parser = new RegexParser(pattern, place, characters, limits);
        RuleNode node = parser.ParseTop(isSearch);
        return parser._text.IsAtEnd ? node : throw parser.Wrong("an unmatched ')'");
    }

    private RuleNode ParseTop(bool isSearch)
    {
        RuleNode anything = isSearch ? new RuleNode.Repeat(_characters(CodePointSet.All), 0, null) : RuleNode.Empty;
        var options = new List<RuleNode>();
        do
        {
            bool fromStart = _text.Take('^');
            RuleNode body = ParseSequence();
            bool toEnd = _text.Take('$');
            if (!_text.IsAtEnd && _text.Next is not ('|' or ')'))
            {
                throw Unsupported("'$' or '^' inside the expression");
            }

            options.Add(RuleNode.Then(fromStart ? RuleNode.Empty : anything, body, toEnd ? RuleNode.Empty : anything));
        }
        while (_text.Take('|'));
        return options.Count == 1 ? options[0] : RuleNode.Either(options);
    }

    private RuleNode ParseAlternatives()
    {
        if (++_depth > _limits.Depth)
        {
            throw Wrong($"at most {_limits.Depth} nested groups");
        }

        var options = new List<RuleNode>();
        do
        {
            options.Add(ParseSequence());
        }
        while (_text.Take('|'));
        _depth--;
        return options.Count == 1 ? options[0] : RuleNode.Either(options);
    }

    private RuleNode ParseSequence()
    {
        var items = new List<RuleNode>();
        while (!_text.IsAtEnd && _text.Next is not ('|' or ')' or '$'))
        {
            items.Add(ParseQuantified());
        }

        return items.Count == 1 ? items[0] : RuleNode.Then(items);
    }

    private RuleNode ParseQuantified()
    {
        RuleNode item = ParseAtom();
        while (TakeQuantifier(out int min, out int? max))
        {
            _text.Take('?');
            item = new RuleNode.Repeat(item, min, max);
        }

        return item;
    }

    private bool TakeQuantifier(out int min, out int? max)
    {
        (min, max) = (0, null);
        if (_text.Take('*'))
        {
            return true;
        }

        if (_text.Take('+'))
        {
            min = 1;
            return true;
        }

        if (_text.Take('?'))
        {
            max = 1;
            return true;
        }

        int start = _text.At;
        if (_text.Take('{') && _text.TakeNumber(out min))
        {
            max = min;
            if (_text.Take(','))
            {
                max = _text.TakeNumber(out int upper) ? upper : null;
            }

            if (_text.Take('}'))
            {
                return max is null || max >= min ? true : throw Wrong("a quantifier whose maximum is below its minimum");
            }
        }

        // A brace that begins no quantifier is an ordinary character.
        _text.At = start;
        return false;
    }

    private RuleNode ParseAtom()
    {
        char next = _text.Next;
        switch (next)
        {
            case '(':
                _text.Read();
                ParseGroupKind();
                RuleNode group = ParseAlternatives();
                return _text.Take(')') ? group : throw Wrong("a group without ')', or '$' inside one");
            case '[':
                _text.Read();
                return _characters(ParseClass());
            case '.':
                _text.Read();
                return _characters(Dot);
            case '\\':
                _text.Read();
                return _characters(ParseEscape(inClass: false));
            case '^':
                throw Unsupported("'^' inside the expression");
            case '*' or '+' or '?':
                throw Wrong($"nothing to repeat before '{next}'");
            default:
                return _characters(CodePointSet.Of(_text.Read().Value));
        }
    }

    private void ParseGroupKind()
    {
        if (!_text.Take('?'))
        {
            return;
        }

        if (_text.Take(':'))
        {
            return;
        }

        if (!_text.Take('<') || _text.IsAtEnd || _text.Next is '=' or '!')
        {
            throw Unsupported("look-around or an inline option");
        }

        while (!_text.Take('>'))
        {
            _ = _text.IsAtEnd ? throw Wrong("a group name without '>'") : _text.Read();
        }
    }

    private CodePointSet ParseClass()
    {
        bool isNegated = _text.Take('^');
        var set = CodePointSet.Of();
        while (!_text.Take(']'))
        {
            CodePointSet low = ParseClassItem();
            if (!_text.IsAtEnd && _text.Next == '-' && _text.Second is { } second && second != ']' && Single(low) is { } from)
            {
                _text.Read();
                int to = Single(ParseClassItem()) ?? throw Wrong("a range that ends in a class");
                low = from <= to ? CodePointSet.Of((from, to)) : throw Wrong("a range whose end comes before its start");
            }

            set = set.Union(low);
        }

        return isNegated ? set.Complement() : set;
    }

    private CodePointSet ParseClassItem()
    {
        if (_text.IsAtEnd)
        {
            throw Wrong("a class without ']'");
        }

        return _text.Take('\\') ? ParseEscape(inClass: true) : CodePointSet.Of(_text.Read().Value);
    }

    private CodePointSet ParseEscape(bool inClass)
    {
        if (_text.IsAtEnd)
        {
            throw Wrong("a '\\' at the end");
        }

        int value = _text.Read().Value;
        switch (value)
        {
            case 'd': return Digits;
            case 'D': return Digits.Complement();
            case 'w': return Word;
            case 'W': return Word.Complement();
            case 's': return Space;
            case 'S': return Space.Complement();
            case 'n': return CodePointSet.Of('\n');
            case 'r': return CodePointSet.Of('\r');
            case 't': return CodePointSet.Of('\t');
            case 'f': return CodePointSet.Of('\f');
            case 'v': return CodePointSet.Of('\v');
            case '0': return CodePointSet.Of(0);
            case 'b' when inClass: return CodePointSet.Of('\b');
            case 'x': return CodePointSet.Of(ParseHex(2));
            case 'u': return CodePointSet.Of(ParseUnicode());
            case 'b' or 'B': throw Unsupported("a word border");
            case 'p' or 'P': throw Unsupported("a Unicode property class");
            case 'k' or (>= '1' and <= '9'): throw Unsupported("a back reference");
            default:
                return Rune.IsLetterOrDigit(new Rune(value)) ? throw Wrong($"an unknown escape '\\{new Rune(value)}'") : CodePointSet.Of(value);
        }
    }

    private int ParseUnicode()
    {
        if (_text.Take('{'))
        {
            int start = _text.At;
            while (!_text.Take('}'))
            {
                _ = _text.IsAtEnd || _text.At - start >= 6 ? throw Wrong("a '\\u{' without '}'") : _text.Read();
            }

            string digits = _text.Text(start, _text.At - 1);
            return int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) && value <= 0x10FFFF
                ? value
                : throw Wrong("a '\\u{' without a scalar value");
        }

        int high = ParseHex(4);
        if (char.IsHighSurrogate((char)high) && _text.Take("\\u"))
        {
            int low = ParseHex(4);
            return char.IsLowSurrogate((char)low) ? char.ConvertToUtf32((char)high, (char)low) : throw Wrong("half of a surrogate pair");
        }

        return high;
    }

    private int ParseHex(int digits) =>
        _text.TakeHex(digits, out int value) ? value : throw Wrong($"an escape without {digits} hexadecimal digits");

    private static int? Single(CodePointSet set) =>
        set.Ranges.Count == 1 && set.Ranges[0].Low == set.Ranges[0].High ? set.Ranges[0].Low : null;

    private InvalidGrammarException Wrong(string what) => new(_place, $"{what} at character {_text.At} of the pattern");

    private InvalidGrammarException Unsupported(string what) => new(_place, $"{what} at character {_text.At} of the pattern is not supported", isUnsupported: true);
}
