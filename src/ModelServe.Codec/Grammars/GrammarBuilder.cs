namespace ModelServe.Codec.Grammars;

/// <summary>Collects rules, checks them together, and lays them out as one compiled grammar. Not thread-safe.</summary>
internal sealed class GrammarBuilder
{
    private readonly List<Automaton?> _rules = [];
    private readonly List<string> _places = [];
    private readonly List<(int Min, int Max)> _counts = [];
    private int _states;

    /// <summary>No rules.</summary>
    public GrammarBuilder(GrammarLimits limits) => Limits = limits;

    /// <summary>Bounds on every rule and on all together.</summary>
    public GrammarLimits Limits { get; }

    /// <summary>Names a rule that is defined later, so that rules may call each other in a circle.</summary>
    public int Declare(string place)
    {
        _rules.Add(null);
        _places.Add(place);
        _counts.Add((0, int.MaxValue));
        return _rules.Count - 1;
    }

    /// <summary>Says what a declared rule matches.</summary>
    /// <exception cref="InvalidGrammarException">It, or the grammar, has too many states.</exception>
    public void Define(int rule, RuleNode node)
    {
        Define(rule, Determinizer.Compile(node, Limits, _places[rule]));
    }

    /// <summary>A rule that is made already.</summary>
    public int Add(string place, Automaton automaton)
    {
        int rule = Declare(place);
        Define(rule, automaton);
        return rule;
    }

    /// <summary>A rule of its own.</summary>
    public int Add(string place, RuleNode node)
    {
        int rule = Declare(place);
        Define(rule, node);
        return rule;
    }

    /// <summary>A rule whose counted characters are bounded.</summary>
    public int AddCounted(string place, Automaton automaton, int min, int max)
    {
        int rule = Add(place, automaton);
        _counts[rule] = (min, max);
        return rule;
    }

    /// <summary>The grammar whose text is what the root rule matches.</summary>
    /// <param name="root">The rule.</param>
    /// <param name="trie">The vocabulary.</param>
    /// <param name="hasEndMark">Whether the text may also end wherever <see cref="FreeText.EndMark"/> may follow.</param>
    /// <exception cref="InvalidGrammarException">Nothing matches, or a rule begins with itself.</exception>
    public CompiledGrammar Build(int root, TokenTrie trie, bool hasEndMark = false)
    {
        bool[] productive = Fixpoint((automaton, known) => Reaches(automaton, known, byBytes: true));
        if (!productive[root])
        {
            throw new InvalidGrammarException("", "nothing at all would match");
        }

        bool[] nullable = Fixpoint((automaton, known) => Reaches(automaton, known, byBytes: false));
        RefuseLeftRecursion(nullable);
        var starts = new int[_rules.Count];
        int total = 0;
        for (int i = 0; i < starts.Length; i++)
        {
            starts[i] = total;
            total += _rules[i]!.Count;
        }

        var edges = new ByteEdge[total][];
        var calls = new (int, int)[total][];
        var accepting = new bool[total];
        var counts = new (int, int)[total];
        var shared = new (Automaton, int)?[total];
        for (int rule = 0; rule < starts.Length; rule++)
        {
            // What can only be finished through a rule that matches nothing must not be begun.
            Automaton automaton = WithoutDeadEnds(_rules[rule]!, productive);
            int offset = starts[rule];
            for (int i = 0; i < automaton.Count; i++)
            {
                edges[offset + i] = [.. automaton.Edges[i].Select(edge => edge with { Target = edge.Target + offset })];
                calls[offset + i] = [.. automaton.Calls[i].Select(call => (starts[call.Rule], call.Target + offset))];
                accepting[offset + i] = automaton.Accepting[i];
                counts[offset + i] = _counts[rule];
                shared[offset + i] = automaton.IsShared ? (automaton, i) : null;
            }
        }

        return new CompiledGrammar(edges, calls, accepting, counts, shared, starts[root], trie, Limits) { HasEndMark = hasEndMark };
    }

    private void Define(int rule, Automaton automaton)
    {
        _states += automaton.Count;
        if (_states > Limits.States)
        {
            throw new InvalidGrammarException(_places[rule], $"at most {Limits.States} states in one grammar; this one needs more");
        }

        _rules[rule] = automaton;
    }

    private static bool Reaches(Automaton automaton, bool[] passable, bool byBytes)
    {
        if (automaton.IsEmpty)
        {
            return false;
        }

        var seen = new HashSet<int> { 0 };
        var open = new Stack<int>([0]);
        while (open.TryPop(out int state))
        {
            if (automaton.Accepting[state])
            {
                return true;
            }

            IEnumerable<int> next = automaton.Calls[state].Where(call => passable[call.Rule]).Select(call => call.Target);
            if (byBytes)
            {
                next = next.Concat(automaton.Edges[state].Select(edge => edge.Target));
            }

            foreach (int target in next.Where(seen.Add))
            {
                open.Push(target);
            }
        }

        return false;
    }

    private static Automaton WithoutDeadEnds(Automaton automaton, bool[] productive)
    {
        if (automaton.Calls.All(calls => calls.All(call => productive[call.Rule])))
        {
            return automaton;
        }

        // Renumbering would move the start of later rules, so dead states stay and only lose the moves to them.
        var alive = new bool[automaton.Count];
        bool grows = true;
        while (grows)
        {
            grows = false;
            for (int i = automaton.Count - 1; i >= 0; i--)
            {
                if (!alive[i] && (automaton.Accepting[i]
                    || automaton.Edges[i].Any(edge => alive[edge.Target])
                    || automaton.Calls[i].Any(call => productive[call.Rule] && alive[call.Target])))
                {
                    alive[i] = grows = true;
                }
            }
        }

        return new Automaton(
            [.. automaton.Edges.Select(edges => edges.Where(edge => alive[edge.Target]).ToArray())],
            [.. automaton.Calls.Select(calls => calls.Where(call => productive[call.Rule] && alive[call.Target]).ToArray())],
            automaton.Accepting);
    }

    private bool[] Fixpoint(Func<Automaton, bool[], bool> holds)
    {
        var known = new bool[_rules.Count];
        bool grows = true;
        while (grows)
        {
            grows = false;
            for (int i = _rules.Count - 1; i >= 0; i--)
            {
                Limits.Cancellation.ThrowIfCancellationRequested();
                if (!known[i] && holds(_rules[i]!, known))
                {
                    known[i] = grows = true;
                }
            }
        }

        return known;
    }

    private void RefuseLeftRecursion(bool[] nullable)
    {
        // 0 unseen, 1 being followed, 2 done; an explicit stack, because a circle of rules may be long.
        var mark = new byte[_rules.Count];
        for (int root = 0; root < mark.Length; root++)
        {
            var open = new Stack<(int Rule, Queue<int> Next)>();
            Enter(root);
            while (open.TryPeek(out (int Rule, Queue<int> Next) top))
            {
                if (!top.Next.TryDequeue(out int next))
                {
                    mark[top.Rule] = 2;
                    open.Pop();
                }
                else if (mark[next] == 1)
                {
                    throw new InvalidGrammarException(_places[next], "a rule may not begin with itself");
                }
                else
                {
                    Enter(next);
                }
            }

            void Enter(int rule)
            {
                if (mark[rule] == 0)
                {
                    mark[rule] = 1;
                    open.Push((rule, new Queue<int>(FirstCalls(_rules[rule]!, nullable))));
                }
            }
        }
    }

    private static HashSet<int> FirstCalls(Automaton automaton, bool[] nullable)
    {
        if (automaton.IsEmpty)
        {
            return [];
        }

        var first = new HashSet<int>();
        var seen = new HashSet<int> { 0 };
        var open = new Stack<int>([0]);
        while (open.TryPop(out int state))
        {
            foreach (CallEdge call in automaton.Calls[state])
            {
                first.Add(call.Rule);
                if (nullable[call.Rule] && seen.Add(call.Target))
                {
                    open.Push(call.Target);
                }
            }
        }

        return first;
    }
}
