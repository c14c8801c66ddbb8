using System.Runtime.InteropServices;

namespace ModelServe.Codec.Grammars;

/// <summary>Makes automata deterministic by the subset construction, and combines deterministic ones. Pure.</summary>
internal static class Determinizer
{
    // States of the undetermined automaton that stand in all subsets together, for each state that a rule may have.
    private const int StatesHeld = 8;

    /// <summary>The deterministic automaton of one rule.</summary>
    /// <exception cref="InvalidGrammarException">It would have too many states.</exception>
    public static Automaton Compile(RuleNode rule, GrammarLimits limits, string place)
    {
        var source = new NondeterministicAutomaton(limits, place);
        int start = source.AddState();
        int end = source.Add(rule, start);
        var subsets = new Subsets(source, end, limits.RuleStates, place);
        subsets.Intern([start]);
        for (int i = 0; i < subsets.Count; i++)
        {
            limits.Cancellation.ThrowIfCancellationRequested();
            subsets.Expand(i);
        }

        return AutomatonTrimmer.Trim(subsets.Edges, subsets.Calls, subsets.Accepting);
    }

    /// <summary>What the first matches, and the second matches too or, if <paramref name="except"/>, does not match. Without calls.</summary>
    /// <exception cref="InvalidGrammarException">It would have too many states.</exception>
    public static Automaton Combine(Automaton first, Automaton second, bool except, GrammarLimits limits, string place)
    {
        if (first.IsEmpty)
        {
            return first;
        }

        // State -1 of the second is the dead one.
        var numbers = new Dictionary<(int, int), int> { [(0, second.IsEmpty ? -1 : 0)] = 0 };
        var pairs = new List<(int First, int Second)> { (0, second.IsEmpty ? -1 : 0) };
        var edges = new List<List<ByteEdge>>();
        var accepting = new List<bool>();
        for (int i = 0; i < pairs.Count; i++)
        {
            limits.Cancellation.ThrowIfCancellationRequested();
            if (pairs.Count > limits.RuleStates)
            {
                throw new InvalidGrammarException(place, $"at most {limits.RuleStates} states in one rule; this one needs more");
            }

            (int a, int b) = pairs[i];
            accepting.Add(first.Accepting[a] && (b >= 0 && second.Accepting[b]) != except);
            var moves = new List<ByteEdge>();
            foreach (ByteEdge edge in first.Edges[a])
            {
                foreach ((byte low, byte high, int target) in Split(edge, b < 0 ? [] : second.Edges[b]))
                {
                    if (target < 0 && !except)
                    {
                        continue;
                    }

                    ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(numbers, (edge.Target, target), out bool known);
                    if (!known)
                    {
                        number = pairs.Count;
                        pairs.Add((edge.Target, target));
                    }

                    moves.Add(new ByteEdge(low, high, edge.Mark, number));
                }
            }

            edges.Add(moves);
        }

        return AutomatonTrimmer.Trim(edges, [.. edges.Select(_ => new List<CallEdge>())], accepting);
    }

    private static IEnumerable<(byte Low, byte High, int Target)> Split(ByteEdge edge, ByteEdge[] others)
    {
        int next = edge.Low;
        foreach (ByteEdge other in others)
        {
            int low = Math.Max(next, other.Low);
            int high = Math.Min(edge.High, other.High);
            if (low > high)
            {
                continue;
            }

            if (next < low)
            {
                yield return ((byte)next, (byte)(low - 1), -1);
            }

            yield return ((byte)low, (byte)high, other.Target);
            next = high + 1;
        }

        if (next <= edge.High)
        {
            yield return ((byte)next, edge.High, -1);
        }
    }

    /// <summary>The subsets found so far, each closed over empty moves.</summary>
    private sealed class Subsets(NondeterministicAutomaton source, int end, int limit, string place)
    {
        private readonly Dictionary<int[], int> _numbers = new(new SequenceComparer());
        private readonly List<int[]> _members = [];
        private readonly bool[] _seen = new bool[source.Edges.Count];
        private readonly List<int> _closing = [];
        private readonly List<ByteEdge> _all = [];
        private readonly List<int> _targets = [];
        private int _held;
        private readonly bool[] _cuts = new bool[257];

        public int Count => _members.Count;

        public List<List<ByteEdge>> Edges { get; } = [];

        public List<List<CallEdge>> Calls { get; } = [];

        public List<bool> Accepting { get; } = [];

        public int Intern(ReadOnlySpan<int> seeds)
        {
            _closing.Clear();
            foreach (int seed in seeds)
            {
                Visit(seed);
            }

            for (int i = 0; i < _closing.Count; i++)
            {
                foreach (int next in source.Skips[_closing[i]])
                {
                    Visit(next);
                }
            }

            foreach (int state in _closing)
            {
                _seen[state] = false;
            }

            // Only states that do something tell subsets apart.
            _closing.RemoveAll(s => s != end && source.Edges[s].Count == 0 && source.Calls[s].Count == 0);
            _closing.Sort();
            int[] members = [.. _closing];
            if (_numbers.TryGetValue(members, out int number))
            {
                return number;
            }

            // Subsets may be large as well as many; what they cost is what they hold.
            _held += members.Length;
            if (_members.Count == limit || _held > StatesHeld * limit)
            {
                throw new InvalidGrammarException(place, $"at most {limit} states in one rule; this one needs more");
            }

            _numbers.Add(members, _members.Count);
            _members.Add(members);
            return _members.Count - 1;
        }

        public void Expand(int subset)
        {
            int[] members = _members[subset];
            Accepting.Add(Array.BinarySearch(members, end) >= 0);
            Edges.Add(ExpandBytes(members));
            var calls = new List<CallEdge>();
            if (!Array.Exists(members, s => source.Calls[s].Count > 0))
            {
                Calls.Add(calls);
                return;
            }

            foreach (IGrouping<int, CallEdge> group in members.SelectMany(s => source.Calls[s]).GroupBy(call => call.Rule))
            {
                calls.Add(new CallEdge(group.Key, Intern([.. group.Select(call => call.Target)])));
            }

            Calls.Add(calls);
        }

        private List<ByteEdge> ExpandBytes(int[] members)
        {
            _all.Clear();
            foreach (int member in members)
            {
                _all.AddRange(source.Edges[member]);
            }

            var moves = new List<ByteEdge>();
            if (_all.Count == 1)
            {
                // The usual case by far: the middle of a literal.
                moves.Add(_all[0] with { Target = Intern([_all[0].Target]) });
                return moves;
            }

            // Between two neighbouring cuts every byte does the same.
            Array.Clear(_cuts);
            foreach (ByteEdge edge in _all)
            {
                _cuts[edge.Low] = _cuts[edge.High + 1] = true;
            }

            for (int low = Array.IndexOf(_cuts, true); low is >= 0 and < 256;)
            {
                int next = Array.IndexOf(_cuts, true, low + 1);
                if (next < 0)
                {
                    break;
                }

                AddMove(moves, (byte)low, (byte)(next - 1));
                low = next;
            }

            return moves;
        }

        private void AddMove(List<ByteEdge> moves, byte low, byte high)
        {
            _targets.Clear();
            EdgeMark mark = EdgeMark.None;
            foreach (ByteEdge edge in _all)
            {
                if (edge.Low > low || low > edge.High)
                {
                    continue;
                }

                if (_targets.Count > 0 && edge.Mark != mark)
                {
                    throw new InvalidOperationException($"{place}: one byte both ends and continues a character");
                }

                mark = edge.Mark;
                _targets.Add(edge.Target);
            }

            if (_targets.Count == 0)
            {
                return;
            }

            int target = Intern(CollectionsMarshal.AsSpan(_targets));
            if (moves.Count > 0 && moves[^1].Target == target && moves[^1].Mark == mark && moves[^1].High + 1 == low)
            {
                moves[^1] = moves[^1] with { High = high };
            }
            else
            {
                moves.Add(new ByteEdge(low, high, mark, target));
            }
        }

        private void Visit(int state)
        {
            if (!_seen[state])
            {
                _seen[state] = true;
                _closing.Add(state);
            }
        }
    }

    private sealed class SequenceComparer : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] obj)
        {
            var hash = default(HashCode);
            hash.AddBytes(MemoryMarshal.AsBytes(obj.AsSpan()));
            return hash.ToHashCode();
        }
    }
}
