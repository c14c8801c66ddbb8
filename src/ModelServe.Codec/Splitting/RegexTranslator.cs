using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// Rewrites a regular expression as Oniguruma reads it (the engine behind tokenizer.json) into .NET's dialect with the same
/// matches, and refuses by name what it cannot rewrite: scripts, nested and intersected classes, back references, anchors
/// and flags other than <c>(?i:…)</c>.
/// </summary>
internal sealed class RegexTranslator
{
    // A pattern of a checkpoint may backtrack badly on hostile text; the bound turns a hang into an error.
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(10);

    private static readonly string[] MultiCharacterFolds = ["ss", "ff", "fi", "fl", "st"];

    private readonly PatternReader _reader;
    private readonly string _place;
    private readonly StringBuilder _output = new();

    private RegexTranslator(string pattern, string place)
    {
        _reader = new PatternReader(pattern, place);
        _place = place;
    }

    /// <summary>The .NET expression that matches what <paramref name="pattern"/> matches under Oniguruma.</summary>
    /// <param name="pattern">The expression as tokenizer.json writes it.</param>
    /// <param name="place">File and field, for complaints.</param>
    /// <param name="often">Whether it is worth the time to compile it.</param>
    /// <exception cref="UnsupportedFeatureException">The expression uses what has no exact counterpart.</exception>
    public static Regex Compile(string pattern, string place, bool often = true)
    {
        string translated = Translate(pattern, place);
        try
        {
            return new Regex(translated, RegexOptions.CultureInvariant | (often ? RegexOptions.Compiled : RegexOptions.None), MatchTimeout);
        }
        catch (ArgumentException failure)
        {
            throw new InvalidTextModelException($"{place}: the regular expression \"{pattern}\" is malformed: {failure.Message}", failure);
        }
    }

    /// <summary>The text of that expression.</summary>
    internal static string Translate(string pattern, string place)
    {
        var translator = new RegexTranslator(pattern, place);
        translator.Alternatives(foldCase: false, depth: 0);
        return translator._output.ToString();
    }

    private void Alternatives(bool foldCase, int depth)
    {
        if (depth > 64)
        {
            throw _reader.Unsupported("nesting deeper than 64 groups");
        }
        char previousLiteral = '\0';
        while (!_reader.AtEnd && _reader.Next != ')')
        {
            int atomStart = _output.Length;
            if (_reader.TryTake("|"))
            {
                _output.Append('|');
                previousLiteral = '\0';
                continue;
            }
            char literal = Atom(foldCase, depth);
            if (foldCase && literal != '\0' && previousLiteral != '\0')
            {
                RefuseMultiCharacterFold(previousLiteral, literal);
            }
            previousLiteral = literal;
            if (Quantifier(atomStart))
            {
                previousLiteral = '\0';
            }
        }
        if (depth == 0 && !_reader.AtEnd)
        {
            throw new InvalidTextModelException($"{_place}: the regular expression has a ')' too many.");
        }
    }

    private void RefuseMultiCharacterFold(char first, char second)
    {
        string pair = $"{char.ToLowerInvariant(first)}{char.ToLowerInvariant(second)}";
        if (Array.IndexOf(MultiCharacterFolds, pair) >= 0)
        {
            throw _reader.Unsupported($"\"{pair}\" under (?i:…), which one character may match,");
        }
    }

    /// <summary>One atom; gives its literal char, or NUL where it is none.</summary>
    private char Atom(bool foldCase, int depth)
    {
        char next = _reader.Take();
        switch (next)
        {
            case '(':
                Group(foldCase, depth);
                return '\0';
            case '[':
                new ClassTranslator(_reader, _output, foldCase).Class();
                return '\0';
            case '\\':
                return Escape(foldCase);
            case '.':
                _output.Append("[^\\n]");
                return '\0';
            case '$':
                _output.Append("(?=\\n|\\z)");
                return '\0';
            case '^':
                throw _reader.Unsupported("the anchor '^'");
            case '*' or '+' or '?' or '{':
                throw _reader.Unsupported($"'{next}' with nothing to repeat");
            default:
                Literal(next, foldCase);
                return next;
        }
    }

    private void Group(bool foldCase, int depth)
    {
        string opening = "(?:";
        bool folds = foldCase;
        if (_reader.TryTake("?"))
        {
            if (_reader.TryTake("i:"))
            {
                folds = true;
            }
            else if (!_reader.TryTake(":"))
            {
                string[] kept = ["=", "!", "<=", "<!", ">"];
                string? kind = Array.Find(kept, _reader.TryTake);
                opening = kind is null ? throw _reader.Unsupported($"the group \"(?{_reader.Next}\"") : $"(?{kind}";
            }
        }
        _output.Append(opening);
        Alternatives(folds, depth + 1);
        if (!_reader.TryTake(")"))
        {
            throw new InvalidTextModelException($"{_place}: the regular expression lacks a ')'.");
        }
        _output.Append(')');
    }

    private char Escape(bool foldCase)
    {
        if (_reader.Next is 's' or 'S' or 'd' or 'D' or 'w' or 'W' or 'p' or 'P')
        {
            new ClassTranslator(_reader, _output, foldCase).Shorthand(insideClass: false);
            return '\0';
        }
        char literal = new ClassTranslator(_reader, _output, foldCase).EscapedLiteral();
        Literal(literal, foldCase);
        return literal;
    }

    private void Literal(char value, bool foldCase)
    {
        if (!foldCase || !CaseFolds.HasCase(value))
        {
            _output.Append(ClassTranslator.Quote(value));
            return;
        }
        string? variants = CaseFolds.Variants(value);
        _output.Append('[').Append(variants ?? throw _reader.Unsupported($"the letter '{value}' under (?i:…)")).Append(']');
    }

    /// <summary>
    /// The quantifiers behind an atom. A possessive one becomes an atomic group; <c>{n,m}+</c> is not possessive to Oniguruma
    /// but a repetition of a repetition, which is refused.
    /// </summary>
    private bool Quantifier(int atomStart)
    {
        string quantifier;
        switch (_reader.Next)
        {
            case '*' or '+' or '?':
                quantifier = _reader.Take().ToString();
                break;
            case '{':
                _reader.Take();
                string body = _reader.TakeUntil('}');
                quantifier = "{" + Bounds(body) + "}";
                if (_reader.Next is '+' or '?' or '*')
                {
                    throw _reader.Unsupported($"\"{{{body}}}{_reader.Next}\"");
                }
                break;
            default:
                return false;
        }
        _output.Append(quantifier);
        if (_reader.TryTake("+"))
        {
            _output.Insert(atomStart, "(?>").Append(')');
        }
        else if (_reader.TryTake("?"))
        {
            _output.Append('?');
        }
        if (_reader.Next is '*' or '+' or '?' or '{')
        {
            throw _reader.Unsupported("a quantifier behind a quantifier");
        }
        return true;
    }

    private string Bounds(string body)
    {
        string[] parts = body.Split(',');
        if (parts.Length is 1 or 2 && (parts[0].Length > 0 || (parts.Length == 2 && parts[1].Length > 0)))
        {
            int.TryParse(parts[0].Length == 0 ? "0" : parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int least);
            bool valid = parts[0].Length == 0 || parts[0] == least.ToString(CultureInfo.InvariantCulture);
            if (valid && (parts.Length == 1 || parts[1].Length == 0 || parts[1].All(char.IsAsciiDigit)))
            {
                string from = least.ToString(CultureInfo.InvariantCulture);
                return parts.Length == 1 ? from : $"{from},{parts[1]}";
            }
        }
        throw _reader.Unsupported($"the braces \"{{{body}}}\"");
    }
}
