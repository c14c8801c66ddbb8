namespace ModelServe.Codec.Grammars;

/// <summary>A rule under construction: Thompson's construction over bytes and calls. Not thread-safe.</summary>
internal sealed class NondeterministicAutomaton
{
    private readonly int _limit;
    private readonly CancellationToken _cancellation;
    private readonly string _place;

    /// <summary>An automaton without states.</summary>
    /// <param name="limits">How many states it may have, and for how long.</param>
    /// <param name="place">What is being built, for the refusal.</param>
    public NondeterministicAutomaton(GrammarLimits limits, string place)
    {
        _limit = limits.RuleStates;
        _cancellation = limits.Cancellation;
        _place = place;
    }

    /// <summary>Moves over bytes, per state.</summary>
    public List<List<ByteEdge>> Edges { get; } = [];

    /// <summary>Moves over other rules, per state.</summary>
    public List<List<CallEdge>> Calls { get; } = [];

    /// <summary>Moves over nothing, per state.</summary>
    public List<List<int>> Skips { get; } = [];

    /// <summary>Adds a state.</summary>
    /// <exception cref="InvalidGrammarException">There are too many.</exception>
    public int AddState()
    {
        _cancellation.ThrowIfCancellationRequested();
        if (Edges.Count == _limit)
        {
            throw new InvalidGrammarException(_place, $"at most {_limit} states in one rule; this one needs more");
        }

        Edges.Add([]);
        Calls.Add([]);
        Skips.Add([]);
        return Edges.Count - 1;
    }

    /// <summary>Adds what the node matches, from a state to the state that is returned.</summary>
    public int Add(RuleNode node, int from)
    {
        switch (node)
        {
            case RuleNode.Literal literal:
                for (int i = 0; i < literal.Value.Length; i++)
                {
                    byte value = literal.Value[i];
                    from = AddBytes(from, value, value, i == 0 ? literal.FirstMark : EdgeMark.None);
                }

                return from;
            case RuleNode.Bytes bytes:
                return AddBytes(from, bytes.Low, bytes.High, bytes.Mark);
            case RuleNode.Sequence sequence:
                foreach (RuleNode item in sequence.Items)
                {
                    from = Add(item, from);
                }

                return from;
            case RuleNode.Choice choice:
                return AddChoice(choice, from);
            case RuleNode.Repeat repeat:
                return AddRepeat(repeat, from);
            case RuleNode.Graph graph:
                return AddGraph(graph, from);
            case RuleNode.Call call:
                int after = AddState();
                Calls[from].Add(new CallEdge(call.Rule, after));
                return after;
            case RuleNode.Embedded embedded:
                return AddEmbedded(embedded, from);
            default:
                throw new InvalidOperationException($"no construction for {node.GetType().Name}");
        }
    }

    private int AddBytes(int from, byte low, byte high, EdgeMark mark)
    {
        int to = AddState();
        Edges[from].Add(new ByteEdge(low, high, mark, to));
        return to;
    }

    private int AddChoice(RuleNode.Choice choice, int from)
    {
        int end = AddState();
        foreach (RuleNode option in choice.Options)
        {
            int start = AddState();
            Skips[from].Add(start);
            Skips[Add(option, start)].Add(end);
        }

        return end;
    }

    private int AddRepeat(RuleNode.Repeat repeat, int from)
    {
        for (int i = 0; i < repeat.Min; i++)
        {
            int before = Edges.Count;
            from = Add(repeat.Item, from);
            if (Edges.Count == before)
            {
                // An item that matches only the empty text; repeating it adds nothing, and the state limit would never end this.
                break;
            }
        }

        if (repeat.Max is not { } max)
        {
            int loop = AddState();
            Skips[from].Add(loop);
            Skips[Add(repeat.Item, loop)].Add(loop);
            int leave = AddState();
            Skips[loop].Add(leave);
            return leave;
        }

        int end = AddState();
        for (int i = repeat.Min; i < max; i++)
        {
            Skips[from].Add(end);
            int start = AddState();
            Skips[from].Add(start);
            from = Add(repeat.Item, start);
        }

        Skips[from].Add(end);
        return end;
    }

    private int AddGraph(RuleNode.Graph graph, int from)
    {
        var states = new int[graph.States];
        for (int i = 0; i < states.Length; i++)
        {
            states[i] = AddState();
        }

        Skips[from].Add(states[0]);
        foreach ((int source, RuleNode item, int target) in graph.Moves)
        {
            Skips[Add(item, states[source])].Add(states[target]);
        }

        int end = AddState();
        foreach (int last in graph.Ends)
        {
            Skips[states[last]].Add(end);
        }

        return end;
    }

    private int AddEmbedded(RuleNode.Embedded embedded, int from)
    {
        Automaton automaton = embedded.Automaton;
        int end = AddState();
        var states = new int[automaton.Count];
        for (int i = 0; i < states.Length; i++)
        {
            states[i] = AddState();
        }

        for (int i = 0; i < states.Length; i++)
        {
            foreach (ByteEdge edge in automaton.Edges[i])
            {
                Edges[states[i]].Add(new ByteEdge(edge.Low, edge.High, embedded.KeepsMarks ? edge.Mark : EdgeMark.None, states[edge.Target]));
            }

            if (automaton.Accepting[i])
            {
                Skips[states[i]].Add(end);
            }
        }

        if (states.Length > 0)
        {
            Skips[from].Add(states[0]);
        }

        return end;
    }
}
