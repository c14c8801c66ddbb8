using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>Reads the text of a grammar in the EBNF that llama.cpp calls GBNF. Bounded, linear; recursion no deeper than the limit.</summary>
/// <remarks>
/// <c>name ::= alternatives</c>, where an alternative is a row of <c>"text"</c>, <c>[class]</c>, <c>[^class]</c>, <c>.</c> (any
/// character), names and groups, each with <c>*</c>, <c>+</c>, <c>?</c> or <c>{m}</c>, <c>{m,}</c>, <c>{m,n}</c> behind it. <c>#</c> begins a
/// comment. A line may end anywhere; a rule goes on to the next <c>name ::=</c>. Names are letters, digits, '_', '-' and '.'.
/// </remarks>
internal sealed class EbnfParser
{
    private readonly Rune[] _text;
    private readonly GrammarLimits _limits;
    private readonly EbnfRules _rules = new();
    private string _place = "";
    private int _at;
    private int _line = 1;
    private int _depth;

    private EbnfParser(string grammar, GrammarLimits limits)
    {
        _text = [.. grammar.EnumerateRunes()];
        _limits = limits;
    }

    /// <summary>The rules of a grammar, each name of which has one.</summary>
    /// <exception cref="InvalidGrammarException">It is malformed, or nested too deeply.</exception>
    public static EbnfRules Parse(string grammar, GrammarLimits limits)
    {
        var parser = new EbnfParser(grammar, limits);
        parser.ParseRules();
        return parser._rules;
    }

    private void ParseRules()
    {
        SkipSpace();
        while (_at < _text.Length)
        {
            string name = TakeName();
            SkipSpace();
            if (name.Length == 0 || !TakeDefinition())
            {
                throw Wrong("a rule begins with 'name ::='; found " + Found());
            }

            _place = name;
            if (!_rules.TryDefine(name, ParseAlternatives()))
            {
                throw Wrong($"rule '{name}' is there twice");
            }

            if (_at < _text.Length && !IsRuleStart())
            {
                throw Wrong("no " + Found() + " is expected here");
            }
        }
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
        while (Take('|'));
        _depth--;
        return options.Count == 1 ? options[0] : RuleNode.Either(options);
    }

    private RuleNode ParseSequence()
    {
        var items = new List<RuleNode>();
        SkipSpace();
        while (_at < _text.Length && Peek() is not ('|' or ')') && !IsRuleStart())
        {
            items.Add(ParseRepeated());
        }

        return items.Count == 1 ? items[0] : RuleNode.Then(items);
    }

    private RuleNode ParseRepeated()
    {
        RuleNode item = ParseItem();
        SkipSpace();
        while (_at < _text.Length)
        {
            (int Min, int? Max)? times = Peek() switch
            {
                '*' => (0, null),
                '+' => (1, null),
                '?' => (0, 1),
                '{' => ParseTimes(),
                _ => null,
            };
            if (times is not { } given)
            {
                break;
            }

            _at++;
            SkipSpace();
            item = new RuleNode.Repeat(item, given.Min, given.Max);
        }

        return item;
    }

    private (int Min, int? Max) ParseTimes()
    {
        _at++;
        SkipSpace();
        bool hasMin = TakeNumber(out int min);
        int? max = min;
        SkipSpace();
        if (Take(','))
        {
            SkipSpace();
            max = TakeNumber(out int upper) ? upper : null;
            SkipSpace();
            hasMin |= max is not null;
        }

        // The closing brace is the caller's, which moves on over one sign.
        return !hasMin || _at == _text.Length || Peek() != '}' ? throw Wrong("'{' begins '{m}', '{m,}', '{,n}' or '{m,n}', with numbers of at most 7 digits")
            : max < min ? throw Wrong($"{{{min},{max}}} asks for at least more than at most")
            : (min, max);
    }

    private RuleNode ParseItem()
    {
        switch (Peek())
        {
            case '"':
                _at++;
                return ParseText();
            case '[':
                _at++;
                return RuleNode.Characters(ParseClass());
            case '.':
                _at++;
                return RuleNode.Characters(CodePointSet.All);
            case '(':
                _at++;
                RuleNode group = ParseAlternatives();
                return Take(')') ? group : throw Wrong("a group without ')'");
            default:
                int from = _line;
                string name = TakeName();
                return name.Length > 0 ? new RuleNode.Call(_rules.Refer(name, from)) : throw Wrong(Found() + " begins nothing that a rule may contain");
        }
    }

    private RuleNode ParseText()
    {
        var text = new StringBuilder();
        while (!Take('"'))
        {
            if (_at == _text.Length || Peek() == '\n')
            {
                throw Wrong("a text without its closing '\"'");
            }

            text.Append(Take('\\') ? ParseEscape() : _text[_at++]);
        }

        return RuleNode.Text(text.ToString());
    }

    private CodePointSet ParseClass()
    {
        bool isNegated = Take('^');
        var set = CodePointSet.Of();
        while (!Take(']'))
        {
            int low = ParseClassItem();
            int high = low;
            if (_at + 1 < _text.Length && Peek() == '-' && _text[_at + 1].Value != ']')
            {
                _at++;
                high = ParseClassItem();
            }

            set = low <= high ? set.Union(CodePointSet.Of((low, high))) : throw Wrong("a range whose end comes before its start");
        }

        return isNegated ? set.Complement() : set;
    }

    private int ParseClassItem() =>
        _at == _text.Length || Peek() == '\n' ? throw Wrong("a class without ']'")
        : Take('\\') ? ParseEscape().Value
        : _text[_at++].Value;

    private Rune ParseEscape()
    {
        int sign = _at < _text.Length ? _text[_at++].Value : throw Wrong("a '\\' at the end");
        return sign switch
        {
            'n' => new Rune('\n'),
            'r' => new Rune('\r'),
            't' => new Rune('\t'),
            'x' => ParseHex(2),
            'u' => ParseHex(4),
            'U' => ParseHex(8),
            _ => !Rune.IsLetterOrDigit(new Rune(sign)) ? new Rune(sign) : throw Wrong($"an unknown escape '\\{new Rune(sign)}'"),
        };
    }

    private Rune ParseHex(int digits)
    {
        string text = Text(_at, Math.Min(_at + digits, _text.Length));
        _at = Math.Min(_at + digits, _text.Length);
        return text.Length == digits && int.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) && Rune.TryCreate(value, out Rune rune)
            ? rune
            : throw Wrong($"an escape without {digits} hexadecimal digits of a character");
    }

    private bool TakeNumber(out int value)
    {
        int start = _at;
        while (_at < _text.Length && _text[_at].Value is >= '0' and <= '9' && _at - start < 7)
        {
            _at++;
        }

        return int.TryParse(Text(start, _at), NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    private string TakeName()
    {
        int start = _at;
        while (_at < _text.Length && IsOfName(_text[_at], isFirst: _at == start))
        {
            _at++;
        }

        return Text(start, _at);
    }

    // A dot alone is any character; inside a name it belongs to it.
    private static bool IsOfName(Rune rune, bool isFirst) =>
        rune.IsAscii && (char.IsAsciiLetterOrDigit((char)rune.Value) || rune.Value is '_' || (!isFirst && rune.Value is '-' or '.'));

    private bool IsRuleStart()
    {
        (int at, int line) = (_at, _line);
        bool isStart = TakeName().Length > 0;
        SkipSpace();
        isStart &= TakeDefinition();
        (_at, _line) = (at, line);
        return isStart;
    }

    private bool TakeDefinition()
    {
        bool isThere = _at + 2 < _text.Length && _text[_at].Value == ':' && _text[_at + 1].Value == ':' && _text[_at + 2].Value == '=';
        _at += isThere ? 3 : 0;
        return isThere;
    }

    private void SkipSpace()
    {
        bool isComment = false;
        for (; _at < _text.Length && (isComment || _text[_at].Value is ' ' or '\t' or '\r' or '\n' or '#'); _at++)
        {
            isComment = _text[_at].Value == '#' || (isComment && _text[_at].Value != '\n');
            _line += _text[_at].Value == '\n' ? 1 : 0;
        }
    }

    private string Text(int from, int to) => string.Concat(_text[from..to].Select(rune => rune.ToString()));

    private string Found() => _at == _text.Length ? "the end" : $"'{_text[_at]}'";

    // Everything that means something here is ASCII.
    private char Peek() => _text[_at].IsAscii ? (char)_text[_at].Value : '\uFFFD';

    private bool Take(char expected)
    {
        bool isThere = _at < _text.Length && _text[_at].Value == expected;
        _at += isThere ? 1 : 0;
        return isThere;
    }

    private InvalidGrammarException Wrong(string what) => new(_place, $"{what}, in line {_line}");
}
