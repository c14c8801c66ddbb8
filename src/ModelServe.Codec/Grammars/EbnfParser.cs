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
    private readonly RuneCursor _text;
    private readonly GrammarLimits _limits;
    private readonly EbnfRules _rules = new();
    private string _place = "";
    private int _line = 1;
    private int _depth;

    private EbnfParser(string grammar, GrammarLimits limits)
    {
        _text = new RuneCursor(grammar);
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
        while (!_text.IsAtEnd)
        {
            string name = TakeName();
            SkipSpace();
            if (name.Length == 0 || !_text.Take("::="))
            {
                throw Wrong("a rule begins with 'name ::='; found " + Found());
            }

            _place = name;
            if (!_rules.TryDefine(name, ParseAlternatives()))
            {
                throw Wrong($"rule '{name}' is there twice");
            }

            if (!_text.IsAtEnd && !IsRuleStart())
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
        while (_text.Take('|'));
        _depth--;
        return options.Count == 1 ? options[0] : RuleNode.Either(options);
    }

    private RuleNode ParseSequence()
    {
        var items = new List<RuleNode>();
        SkipSpace();
        while (!_text.IsAtEnd && _text.Next is not ('|' or ')') && !IsRuleStart())
        {
            items.Add(ParseRepeated());
        }

        return items.Count == 1 ? items[0] : RuleNode.Then(items);
    }

    private RuleNode ParseRepeated()
    {
        RuleNode item = ParseItem();
        SkipSpace();
        while (!_text.IsAtEnd)
        {
            (int Min, int? Max)? times = _text.Next switch
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

            _text.Read();
            SkipSpace();
            item = new RuleNode.Repeat(item, given.Min, given.Max);
        }

        return item;
    }

    private (int Min, int? Max) ParseTimes()
    {
        _text.Read();
        SkipSpace();
        bool hasMin = _text.TakeNumber(out int min);
        int? max = min;
        SkipSpace();
        if (_text.Take(','))
        {
            SkipSpace();
            max = _text.TakeNumber(out int upper) ? upper : null;
            SkipSpace();
            hasMin |= max is not null;
        }

        // The closing brace is the caller's, which moves on over one sign.
        return !hasMin || _text.IsAtEnd || _text.Next != '}' ? throw Wrong("'{' begins '{m}', '{m,}', '{,n}' or '{m,n}', with numbers of at most 7 digits")
            : max < min ? throw Wrong($"{{{min},{max}}} asks for at least more than at most")
            : (min, max);
    }

    private RuleNode ParseItem()
    {
        switch (_text.Next)
        {
            case '"':
                _text.Read();
                return ParseText();
            case '[':
                _text.Read();
                return RuleNode.Characters(ParseClass());
            case '.':
                _text.Read();
                return RuleNode.Characters(CodePointSet.All);
            case '(':
                _text.Read();
                RuleNode group = ParseAlternatives();
                return _text.Take(')') ? group : throw Wrong("a group without ')'");
            default:
                int from = _line;
                string name = TakeName();
                return name.Length > 0 ? new RuleNode.Call(_rules.Refer(name, from)) : throw Wrong(Found() + " begins nothing that a rule may contain");
        }
    }

    private RuleNode ParseText()
    {
        var text = new StringBuilder();
        while (!_text.Take('"'))
        {
            if (_text.IsAtEnd || _text.Next == '\n')
            {
                throw Wrong("a text without its closing '\"'");
            }

            text.Append(_text.Take('\\') ? ParseEscape() : _text.Read());
        }

        return RuleNode.Text(text.ToString());
    }

    private CodePointSet ParseClass()
    {
        bool isNegated = _text.Take('^');
        var set = CodePointSet.Of();
        while (!_text.Take(']'))
        {
            int low = ParseClassItem();
            int high = low;
            if (!_text.IsAtEnd && _text.Next == '-' && _text.Second is { } second && second != ']')
            {
                _text.Read();
                high = ParseClassItem();
            }

            set = low <= high ? set.Union(CodePointSet.Of((low, high))) : throw Wrong("a range whose end comes before its start");
        }

        return isNegated ? set.Complement() : set;
    }

    private int ParseClassItem() =>
        _text.IsAtEnd || _text.Next == '\n' ? throw Wrong("a class without ']'")
        : _text.Take('\\') ? ParseEscape().Value
        : _text.Read().Value;

    private Rune ParseEscape()
    {
        int sign = !_text.IsAtEnd ? _text.Read().Value : throw Wrong("a '\\' at the end");
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

    private Rune ParseHex(int digits) =>
        _text.TakeHex(digits, out int value) && Rune.TryCreate(value, out Rune rune)
            ? rune
            : throw Wrong($"an escape without {digits} hexadecimal digits of a character");

    private string TakeName()
    {
        int start = _text.At;
        while (!_text.IsAtEnd && IsOfName(_text.Next, isFirst: _text.At == start))
        {
            _text.Read();
        }

        return _text.Text(start, _text.At);
    }

    // A dot alone is any character; inside a name it belongs to it.
    private static bool IsOfName(char sign, bool isFirst) => char.IsAsciiLetterOrDigit(sign) || sign is '_' || (!isFirst && sign is '-' or '.');

    private bool IsRuleStart()
    {
        (int at, int line) = (_text.At, _line);
        bool isStart = TakeName().Length > 0;
        SkipSpace();
        isStart &= _text.Take("::=");
        (_text.At, _line) = (at, line);
        return isStart;
    }

    private void SkipSpace()
    {
        bool isComment = false;
        while (!_text.IsAtEnd && (isComment || _text.Next is ' ' or '\t' or '\r' or '\n' or '#'))
        {
            char sign = _text.Next;
            isComment = sign == '#' || (isComment && sign != '\n');
            _line += sign == '\n' ? 1 : 0;
            _text.Read();
        }
    }

    private string Found() => _text.IsAtEnd ? "the end" : $"'{_text.Text(_text.At, _text.At + 1)}'";

    private InvalidGrammarException Wrong(string what) => new(_place, $"{what}, in line {_line}");
}
