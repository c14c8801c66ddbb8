using System.Buffers;

namespace ModelServe.Codec.Streaming;

/// <summary>An Aho-Corasick automaton over stop strings: a state is the longest suffix of the text that may still become one.</summary>
internal sealed class StopAutomaton
{
    private readonly Dictionary<long, int> _edges = [];
    private readonly List<State> _states = [new State("", 0, -1, GoesOn: true)];
    private readonly SearchValues<char> _firstChars;

    /// <summary>Builds the automaton of non-empty strings.</summary>
    public StopAutomaton(IReadOnlyList<string> stops)
    {
        for (int stop = 0; stop < stops.Count; stop++)
        {
            int state = 0;
            for (int depth = 1; depth <= stops[stop].Length; depth++)
            {
                long edge = Edge(state, stops[stop][depth - 1]);
                if (!_edges.TryGetValue(edge, out int child))
                {
                    child = _states.Count;
                    _states.Add(new State(stops[stop][..depth], 0, -1, GoesOn: false));
                    _states[state] = _states[state] with { GoesOn = true };
                    _edges.Add(edge, child);
                }
                state = child;
            }
            if (_states[state].Stop < 0)
            {
                _states[state] = _states[state] with { Stop = stop };
            }
        }
        Link();
        _firstChars = SearchValues.Create([.. stops.Select(stop => stop[0]).Distinct()]);
    }

    /// <summary>The state after one more char.</summary>
    public int Step(int state, char value)
    {
        while (true)
        {
            if (_edges.TryGetValue(Edge(state, value), out int next))
            {
                return next;
            }
            if (state == 0)
            {
                return 0;
            }
            state = _states[state].Fallback;
        }
    }

    /// <summary>The state that is left of this one when the stop strings that end in it do not count: the longest that may still go on.</summary>
    public int Unfinished(int state)
    {
        while (!_states[state].GoesOn && state != 0)
        {
            state = _states[state].Fallback;
        }
        return state;
    }

    /// <summary>The text that a state stands for.</summary>
    public string Held(int state) => _states[state].Held;

    /// <summary>The longest stop string that ends in this state, or -1.</summary>
    public int StopIn(int state) => _states[state].Stop;

    /// <summary>Where the first char of a stop string stands, or -1.</summary>
    public int FirstCandidate(ReadOnlySpan<char> text) => text.IndexOfAny(_firstChars);

    /// <summary>Sets each state's fallback (its longest proper suffix that is a state) in order of depth, and inherits stops through it.</summary>
    private void Link()
    {
        foreach (int index in Enumerable.Range(1, _states.Count - 1).OrderBy(state => _states[state].Held.Length))
        {
            string held = _states[index].Held;
            int parent = 0;
            foreach (char value in held.AsSpan(0, held.Length - 1))
            {
                parent = _edges[Edge(parent, value)];
            }
            int fallback = held.Length == 1 ? 0 : Step(_states[parent].Fallback, held[^1]);
            int stop = _states[index].Stop >= 0 ? _states[index].Stop : _states[fallback].Stop;
            _states[index] = _states[index] with { Fallback = fallback, Stop = stop };
        }
    }

    private static long Edge(int state, char value) => ((long)state << 16) | value;

    private sealed record State(string Held, int Fallback, int Stop, bool GoesOn);
}
