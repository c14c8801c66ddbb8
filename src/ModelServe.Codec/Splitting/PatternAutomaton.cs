using System.Buffers;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// A regular expression as a table: which end a backtracking matcher would find from a given start, in one pass over the text. Immutable
/// and thread-safe.
/// </summary>
internal sealed class PatternAutomaton
{
    // A search for the first char pays where few chars begin a match.
    private const int MostFirst = 0xC000;

    private readonly PatternAlphabet _alphabet;
    private readonly int[] _table;
    private readonly int _start;
    private readonly SearchValues<char>? _first;

    internal PatternAutomaton(PatternAlphabet alphabet, int[] table, int start)
    {
        _alphabet = alphabet;
        _table = table;
        _start = start;
        char[] first = [.. Enumerable.Range(0, 0x10000).Select(code => (char)code).Where(code => char.IsSurrogate(code) || table[start + alphabet.Of(code)] != 0)];
        _first = first.Length > MostFirst ? null : SearchValues.Create(first);
    }

    /// <summary>The automaton of an expression; null where it asks for more than an automaton of reasonable size can do.</summary>
    /// <param name="pattern">A translated expression, known to be well-formed.</param>
    public static PatternAutomaton? TryBuild(string pattern)
    {
        if (PatternParser.Parse(pattern) is not ({ IsNullable: false } root, var classes) || PatternAlphabet.Of(classes) is not { } alphabet)
        {
            return null;
        }
        return new PatternCompiler(alphabet).Compile(root);
    }

    /// <summary>The first index at or after a start where a match may begin; the text's length where there is none.</summary>
    public int Candidate(ReadOnlySpan<char> text, int start)
    {
        int found = _first is null ? 0 : text[start..].IndexOfAny(_first);
        return found < 0 ? text.Length : start + found;
    }

    /// <summary>Where the match that begins at an index ends; -1 where none begins there.</summary>
    /// <param name="text">The text.</param>
    /// <param name="start">The index.</param>
    /// <param name="seen">Chars that were looked at.</param>
    public int Match(ReadOnlySpan<char> text, int start, out int seen)
    {
        int[] table = _table;
        int row = _start;
        int index = start;
        int end = -1;
        while (true)
        {
            int width = 1;
            int symbol = index < text.Length ? _alphabet.At(text, index, out width) : _alphabet.Count;
            int entry = table[row + symbol];
            end = (entry & 1) != 0 ? index : end;
            row = entry >> 1;
            if (row == 0)
            {
                seen = index - start + 1;
                return end;
            }
            index += width;
        }
    }
}
