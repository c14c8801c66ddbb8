using System.Runtime.InteropServices;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// Makes the table of an expression. A state is the list of places where a backtracking matcher might be, the preferred first; a
/// place behind one that has matched is dropped, which gives the match that the matcher would find. Look-ahead is decided when
/// the next symbol is known, so a match is reported one symbol late.
/// </summary>
/// <param name="alphabet">The symbols.</param>
internal sealed class PatternCompiler(PatternAlphabet alphabet)
{
    private const int MostPlaces = 4096;
    private const int MostStates = 2048;

    private readonly List<Place> _places = [];
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);
    private readonly List<int[]> _states = [];
    private readonly List<int> _table = [];
    private readonly HashSet<int> _visited = [];
    private readonly List<int> _next = [];

    private enum Kind
    {
        Match,
        One,
        Look,
        Split,
    }

    private int Width => alphabet.Count + 1;

    /// <summary>The automaton; null where it grows beyond bounds.</summary>
    public PatternAutomaton? Compile(PatternNode root)
    {
        int match = Add(new Place(Kind.Match, null, -1, -1));
        int start = Build(root, match);
        if (_places.Count > MostPlaces)
        {
            return null;
        }
        // Row 0 is the end of every road.
        Number([]);
        int first = Number([start]);
        for (int state = 0; state < _states.Count; state++)
        {
            if (_states.Count > MostStates)
            {
                return null;
            }
            for (int symbol = 0; symbol < Width; symbol++)
            {
                bool matched = Step(_states[state], symbol);
                int target = Number([.. _next]);
                _table.Add((target * Width << 1) | (matched ? 1 : 0));
            }
        }
        return new PatternAutomaton(alphabet, [.. _table], first * Width);
    }

    private int Add(Place place)
    {
        _places.Add(place);
        return _places.Count - 1;
    }

    /// <summary>Builds a part in front of what follows it; gives the place where it begins.</summary>
    private int Build(PatternNode node, int next)
    {
        if (_places.Count > MostPlaces)
        {
            return next;
        }
        switch (node)
        {
            case PatternNode.One one:
                return Add(new Place(Kind.One, one, next, -1));
            case PatternNode.Look look:
                return Add(new Place(Kind.Look, look, next, -1));
            case PatternNode.Sequence sequence:
                for (int index = sequence.Parts.Count - 1; index >= 0; index--)
                {
                    next = Build(sequence.Parts[index], next);
                }
                return next;
            case PatternNode.Choice choice:
                int other = Build(choice.Parts[^1], next);
                for (int index = choice.Parts.Count - 2; index >= 0; index--)
                {
                    other = Add(new Place(Kind.Split, null, Build(choice.Parts[index], next), other));
                }
                return other;
            default:
                return Repeat((PatternNode.Repeat)node, next);
        }
    }

    private int Repeat(PatternNode.Repeat repeat, int next)
    {
        int begin = next;
        if (repeat.Most is null)
        {
            int loop = Add(new Place(Kind.Split, null, -1, -1));
            int body = Build(repeat.Part, loop);
            _places[loop] = repeat.Lazy ? new Place(Kind.Split, null, next, body) : new Place(Kind.Split, null, body, next);
            begin = loop;
        }
        else
        {
            for (int extra = repeat.Most.Value - repeat.Least; extra > 0; extra--)
            {
                int body = Build(repeat.Part, begin);
                begin = Add(repeat.Lazy ? new Place(Kind.Split, null, next, body) : new Place(Kind.Split, null, body, next));
            }
        }
        for (int least = repeat.Least; least > 0; least--)
        {
            begin = Build(repeat.Part, begin);
        }
        return begin;
    }

    private int Number(int[] state)
    {
        string key = new(MemoryMarshal.Cast<int, char>(state));
        if (!_numbers.TryGetValue(key, out int number))
        {
            number = _states.Count;
            _numbers.Add(key, number);
            _states.Add(state);
        }
        return number;
    }

    /// <summary>Follows a state over one symbol into <see cref="_next"/>; whether a match ends before the symbol.</summary>
    private bool Step(int[] state, int symbol)
    {
        _visited.Clear();
        _next.Clear();
        foreach (int place in state)
        {
            if (Visit(place, symbol))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Goes on from one place, the preferred way first; true where a match is reached, which ends all that is less preferred.</summary>
    private bool Visit(int number, int symbol)
    {
        if (!_visited.Add(number))
        {
            return false;
        }
        Place place = _places[number];
        switch (place.Kind)
        {
            case Kind.Match:
                return true;
            case Kind.One:
                bool taken = symbol < alphabet.Count && alphabet.IsIn(symbol, ((PatternNode.One)place.Node!).Class);
                if (taken && !_next.Contains(place.Next))
                {
                    _next.Add(place.Next);
                }
                return false;
            case Kind.Look:
                return Fulfils((PatternNode.Look)place.Node!, symbol) && Visit(place.Next, symbol);
            default:
                return Visit(place.Next, symbol) || Visit(place.Other, symbol);
        }
    }

    private bool Fulfils(PatternNode.Look look, int symbol) => symbol == alphabet.Count
        ? look.AtEnd
        : look.Classes.Any(number => alphabet.IsIn(symbol, number)) != look.Negated;

    private sealed record Place(Kind Kind, PatternNode? Node, int Next, int Other);
}
