using System.Globalization;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// Reads what <see cref="RegexTranslator"/> writes, as far as an automaton with one char of look-ahead can follow it. Gives up
/// (null) on look-behind, longer look-ahead and atomic groups other than a possessive run of one class.
/// </summary>
internal sealed class PatternParser
{
    private readonly string _pattern;
    private readonly List<string> _classes = [];
    private int _position;

    private PatternParser(string pattern)
    {
        _pattern = pattern;
    }

    private bool AtEnd => _position >= _pattern.Length;

    /// <summary>The expression and the texts of its classes; null where it is beyond the automaton.</summary>
    /// <param name="pattern">A translated expression, known to be well-formed.</param>
    public static (PatternNode Root, IReadOnlyList<string> Classes)? Parse(string pattern)
    {
        var parser = new PatternParser(pattern);
        PatternNode? root = parser.Choice();
        return root is null || !parser.AtEnd ? null : (root, parser._classes);
    }

    private PatternNode? Choice()
    {
        List<PatternNode> parts = [];
        do
        {
            if (Sequence() is not { } part)
            {
                return null;
            }
            parts.Add(part);
        }
        while (TryTake("|"));
        return parts.Count == 1 ? parts[0] : new PatternNode.Choice(parts);
    }

    private PatternNode.Sequence? Sequence()
    {
        List<PatternNode> parts = [];
        while (!AtEnd && _pattern[_position] is not ('|' or ')'))
        {
            PatternNode? atom = Atom();
            PatternNode? whole = atom is null ? null : Quantified(atom);
            if (whole is null)
            {
                return null;
            }
            parts.Add(whole);
        }
        return new PatternNode.Sequence(parts);
    }

    private PatternNode? Atom()
    {
        if (TryTake("(?:"))
        {
            PatternNode? inner = Choice();
            return inner is not null && TryTake(")") ? inner : null;
        }
        if (TryTake("(?>"))
        {
            return Choice() is { } held && TryTake(")") ? Possessive(held) : null;
        }
        if (TryTake("(?!") || TryTake("(?="))
        {
            bool negated = _pattern[_position - 1] == '!';
            return Look(negated);
        }
        return _pattern[_position] == '(' ? null : new PatternNode.One(Class());
    }

    /// <summary>A run of one class that gives nothing back ends only where the class does.</summary>
    private static PatternNode? Possessive(PatternNode held)
    {
        if (held is PatternNode.Sequence { Parts: [PatternNode.Repeat { Part: PatternNode.One one, Lazy: false } run] })
        {
            var stop = new PatternNode.Look([one.Class], Negated: true, AtEnd: true);
            return run switch
            {
                { Most: null } => new PatternNode.Sequence([run, stop]),
                { Least: 0, Most: 1 } => new PatternNode.Choice([one, stop]),
                _ => null,
            };
        }
        return null;
    }

    private PatternNode.Look? Look(bool negated)
    {
        List<int> classes = [];
        bool end = false;
        do
        {
            if (TryTake("\\z"))
            {
                end = true;
            }
            else if (AtEnd || _pattern[_position] is '(' or ')' or '|')
            {
                return null;
            }
            else
            {
                classes.Add(Class());
            }
        }
        while (TryTake("|"));
        return TryTake(")") ? new PatternNode.Look(classes, negated, AtEnd: negated != end) : null;
    }

    /// <summary>Takes a class, a shorthand or a literal; gives its number.</summary>
    private int Class()
    {
        int start = _position;
        bool bracketed = _pattern[_position] == '[';
        do
        {
            _position += _pattern[_position] != '\\' ? 1 : _pattern[_position + 1] switch
            {
                'u' => 6,
                'p' or 'P' => _pattern.IndexOf('}', _position) + 1 - _position,
                _ => 2,
            };
        }
        while (bracketed && _pattern[_position] != ']');
        _position += bracketed ? 1 : 0;
        string text = _pattern[start.._position];
        int known = _classes.IndexOf(text);
        if (known < 0)
        {
            known = _classes.Count;
            _classes.Add(text);
        }
        return known;
    }

    private PatternNode? Quantified(PatternNode atom)
    {
        (int Least, int? Most)? times = null;
        if (TryTake("*"))
        {
            times = (0, null);
        }
        else if (TryTake("+"))
        {
            times = (1, null);
        }
        else if (TryTake("?"))
        {
            times = (0, 1);
        }
        else if (TryTake("{"))
        {
            int end = _pattern.IndexOf('}', _position);
            string[] bounds = _pattern[_position..end].Split(',');
            _position = end + 1;
            if (!int.TryParse(bounds[0], NumberStyles.None, CultureInfo.InvariantCulture, out int least))
            {
                return null;
            }
            int most = least;
            bool open = bounds.Length == 2 && bounds[1].Length == 0;
            if (bounds.Length == 2 && !open && !int.TryParse(bounds[1], NumberStyles.None, CultureInfo.InvariantCulture, out most))
            {
                return null;
            }
            times = (least, open ? null : most);
        }
        if (times is not { } found)
        {
            return atom;
        }
        // A loop over nothing ends by rules of its own, and the automaton unrolls bounded ones.
        bool lazy = TryTake("?");
        return (found.Most is null && atom.IsNullable) || found.Least > 64 || found.Most > 64
            ? null
            : new PatternNode.Repeat(atom, found.Least, found.Most, lazy);
    }

    private bool TryTake(string expected)
    {
        if (string.CompareOrdinal(_pattern, _position, expected, 0, expected.Length) != 0)
        {
            return false;
        }
        _position += expected.Length;
        return true;
    }
}
