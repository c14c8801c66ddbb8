using System.Buffers;
using System.Text;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Added;

/// <summary>Finds added tokens in a text: leftmost first, the longest among those that begin together. Immutable; thread-safe.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly Dictionary<long, int> _children = [];
    private readonly List<AddedToken?> _ends = [null];
    private readonly SearchValues<char> _firstChars;

    /// <summary>A matcher for tokens and the patterns they are looked for by (their content, or its normalized form).</summary>
    public AddedTokenMatcher(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        HashSet<char> first = [];
        foreach ((string pattern, AddedToken token) in tokens)
        {
            if (pattern.Length == 0)
            {
                continue;
            }
            first.Add(pattern[0]);
            int node = 0;
            foreach (char value in pattern)
            {
                long edge = Edge(node, value);
                if (!_children.TryGetValue(edge, out int child))
                {
                    child = _ends.Count;
                    _ends.Add(null);
                    _children.Add(edge, child);
                }
                node = child;
            }
            _ends[node] ??= token;
            HasControl |= token.IsControl;
        }
        _firstChars = SearchValues.Create([.. first]);
        IsEmpty = first.Count == 0;
    }

    /// <summary>Whether there is nothing to find.</summary>
    public bool IsEmpty { get; }

    /// <summary>Whether any of the tokens is a control token.</summary>
    public bool HasControl { get; }

    /// <summary>Covers a text with matches and the stretches between them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="parseControl">Whether control tokens are looked for.</param>
    /// <param name="guarded">Ascending indexes of chars that no control token may cover.</param>
    /// <param name="matches">Receives the cover, in order; empty for an empty text.</param>
    public void Cover(ReadOnlySpan<char> text, bool parseControl, ReadOnlySpan<int> guarded, List<AddedTokenMatch> matches)
    {
        int covered = 0;
        int position = 0;
        while (position < text.Length)
        {
            int found = text[position..].IndexOfAny(_firstChars);
            if (found < 0)
            {
                break;
            }
            position += found;
            if (Longest(text, position, parseControl, guarded, out int end) is not { } token)
            {
                position++;
                continue;
            }
            if (token.SingleWord && !StandsAlone(text, position, end))
            {
                position = end;
                continue;
            }
            int start = token.LeftStrip ? Math.Max(covered, position - TrailingSpaces(text[..position])) : position;
            int stop = token.RightStrip ? end + LeadingSpaces(text[end..]) : end;
            if (start > covered)
            {
                matches.Add(new AddedTokenMatch(-1, covered, start));
            }
            matches.Add(new AddedTokenMatch(token.Id, start, stop));
            covered = stop;
            position = Math.Max(end, covered);
        }
        if (covered < text.Length)
        {
            matches.Add(new AddedTokenMatch(-1, covered, text.Length));
        }
    }

    private AddedToken? Longest(ReadOnlySpan<char> text, int start, bool parseControl, ReadOnlySpan<int> guarded, out int end)
    {
        AddedToken? longest = null;
        end = start;
        int node = 0;
        for (int index = start; index < text.Length && _children.TryGetValue(Edge(node, text[index]), out node); index++)
        {
            AddedToken? token = _ends[node];
            if (token is not null && (!token.IsControl || (parseControl && !Covers(guarded, start, index + 1))))
            {
                longest = token;
                end = index + 1;
            }
        }
        return longest;
    }

    private static bool Covers(ReadOnlySpan<int> guarded, int start, int end)
    {
        if (guarded.IsEmpty)
        {
            return false;
        }
        int index = guarded.BinarySearch(start);
        int next = index < 0 ? ~index : index;
        return next < guarded.Length && guarded[next] < end;
    }

    private static bool StandsAlone(ReadOnlySpan<char> text, int start, int end)
    {
        Rune.DecodeLastFromUtf16(text[..start], out Rune before, out _);
        Rune.DecodeFromUtf16(text[end..], out Rune after, out _);
        return (start == 0 || !CharacterClasses.IsRustWord(before.Value)) &&
            (end == text.Length || !CharacterClasses.IsRustWord(after.Value));
    }

    private static int TrailingSpaces(ReadOnlySpan<char> text) => text.Length - text.TrimEnd().Length;

    private static int LeadingSpaces(ReadOnlySpan<char> text) => text.Length - text.TrimStart().Length;

    private static long Edge(int node, char value) => ((long)node << 16) | value;
}
