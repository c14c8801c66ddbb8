using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace ModelServe.Codec.Grammars;

/// <summary>One way to read the text so far: a state, the characters of the bounded string it is in, and where to return.</summary>
internal readonly record struct Reading(int State, int Count, int Stack);

/// <summary>Every set of readings met while texts of one grammar are followed, each once, so that a move seen before is a table look-up.</summary>
/// <remarks>
/// A lazily built deterministic automaton over configurations of the pushdown automaton. It only grows; whoever shares it replaces
/// it when it has become too large. Thread-safe: what was met before is read without a lock, what is new is made under one.
/// </remarks>
internal sealed class Readings
{
    // Rough sizes of what is kept, for the limit on memory.
    private const int SetBytes = 160;
    private const int ReadingBytes = 12;
    private const int StackBytes = 80;

    /// <summary>The stack on which a return ends the whole text.</summary>
    public const int Outermost = 0;

    /// <summary>The stack of which only the top rule is known: a return leaves what was asked.</summary>
    public const int Unknown = 1;

    private readonly Lock _lock = new();
    private readonly CompiledGrammar _grammar;
    private readonly ByteClasses _classes;
    private readonly bool _isBounded;
    private readonly List<(int State, int Parent, int Depth)> _stacks = [(-1, -1, 0), (-1, -1, 0)];
    private readonly List<ReadingSet?> _returns = [null, null];
    private readonly Dictionary<(int State, int Parent), int> _stackNumbers = [];
    private readonly Dictionary<ReadingSet, ReadingSet> _sets = [];
    private readonly ConcurrentDictionary<int, StateMask> _masks = new();
    private readonly List<Reading> _found = [];
    private readonly List<Reading> _kept = [];
    private bool _isComplete;
    private int _leftAt;
    private long _bytes;

    /// <summary>No sets.</summary>
    /// <param name="grammar">What is followed.</param>
    /// <param name="isBounded">Whether the bounds of counted strings hold in the outermost rule too; without them its count, of which the beginning is not known, is only kept.</param>
    public Readings(CompiledGrammar grammar, bool isBounded)
    {
        _grammar = grammar;
        _classes = grammar.Classes;
        _isBounded = isBounded;
    }

    /// <summary>Memory that it takes, roughly.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>The set of everything that may come next in a state over a stack.</summary>
    /// <exception cref="InvalidGrammarException">The text may be read in too many ways.</exception>
    public ReadingSet Enter(int state, int stack)
    {
        lock (_lock)
        {
            return EnterLocked(state, stack);
        }
    }

    /// <summary>The set after a return to what is below a stack.</summary>
    /// <exception cref="InvalidGrammarException">The text may be read in too many ways.</exception>
    public ReadingSet Return(int stack)
    {
        lock (_lock)
        {
            (int state, int parent, _) = _stacks[stack];
            return _returns[stack] ??= EnterLocked(state, parent);
        }
    }

    /// <summary>Takes over a set of another instance of the same grammar.</summary>
    public ReadingSet Import(Readings other, ReadingSet set)
    {
        int[][] stacks = other.Unwind(set);
        lock (_lock)
        {
            Begin();
            for (int i = 0; i < stacks.Length; i++)
            {
                int stack = Outermost;
                foreach (int state in stacks[i])
                {
                    stack = Push(state, stack);
                }

                _kept.Add(set.Members[i] with { Stack = stack });
            }

            _isComplete = set.IsComplete;
            _leftAt = set.LeftAt;
            return Intern();
        }
    }

    /// <summary>The set after one more byte, if that was asked before; else null.</summary>
    public ReadingSet? Known(ReadingSet set, byte value) => set.Known(_classes[value]);

    /// <summary>The set after one more byte.</summary>
    /// <exception cref="InvalidGrammarException">The text may be read in too many ways.</exception>
    public ReadingSet Next(ReadingSet set, byte value) => set.Known(_classes[value]) ?? Find(set, value);

    /// <summary>The mask of a state that belongs to this grammar alone.</summary>
    /// <exception cref="InvalidGrammarException">Finding it takes more than the limit of work.</exception>
    public StateMask MaskOf(int state)
    {
        if (!_masks.TryGetValue(state, out StateMask? mask))
        {
            mask = StateMask.Build(_grammar, state, _grammar.Limits.MaskWork);
            if (_masks.TryAdd(state, mask))
            {
                Interlocked.Add(ref _bytes, mask.Bytes);
            }
        }

        return mask;
    }

    /// <summary>Keeps the tokens that may come at a set.</summary>
    public void Keep(ReadingSet set, AllowedTokens allowed)
    {
        set.Allowed = allowed;
        Interlocked.Add(ref _bytes, allowed.Bytes);
    }

    private ReadingSet Find(ReadingSet set, byte value)
    {
        lock (_lock)
        {
            int byteClass = _classes[value];
            if (set.Known(byteClass) is { } known)
            {
                return known;
            }

            ReadingSet next = Move(set, value);
            if (set.Remember(byteClass, next, _classes.Count))
            {
                Interlocked.Add(ref _bytes, (_classes.Count + 3) * sizeof(long));
            }

            return next;
        }
    }

    private ReadingSet EnterLocked(int state, int stack)
    {
        Begin();
        Close(new Reading(state, 0, stack));
        return Intern();
    }

    private ReadingSet Move(ReadingSet set, byte value)
    {
        Begin();
        foreach (Reading reading in set.Members)
        {
            foreach (ByteEdge edge in _grammar.EdgesOf(reading.State))
            {
                if (edge.Low <= value && value <= edge.High)
                {
                    if (Passes(edge.Mark, reading, out int count))
                    {
                        Close(new Reading(edge.Target, count, reading.Stack));
                    }

                    break;
                }
            }
        }

        return Intern();
    }

    private bool Passes(EdgeMark mark, Reading reading, out int count)
    {
        count = reading.Count + (mark == EdgeMark.Counts ? 1 : 0);
        if (mark == EdgeMark.None || (!_isBounded && reading.Stack == Unknown))
        {
            return true;
        }

        (int min, int max) = _grammar.CountsOf(reading.State);
        return mark == EdgeMark.Counts ? count <= max : count >= min;
    }

    private void Begin()
    {
        _found.Clear();
        _kept.Clear();
        _isComplete = false;
        _leftAt = -1;
    }

    // Follows calls and returns until only readings that wait for a byte are left.
    private void Close(Reading first)
    {
        int next = _found.Count;
        Find(first);
        for (; next < _found.Count; next++)
        {
            Reading reading = _found[next];
            if (_grammar.EdgesOf(reading.State).Length > 0)
            {
                _kept.Add(reading);
            }

            foreach ((int start, int back) in _grammar.CallsOf(reading.State))
            {
                // Nobody needs to return to an end. A counted rule still shows where it began, so that its own count is not taken for an unknown one.
                bool isLast = _grammar.IsEnd(back) && (_isBounded || reading.Stack != Unknown || !_grammar.IsCounted(start));
                int stack = isLast ? reading.Stack : Push(back, reading.Stack);
                if (stack >= 0)
                {
                    Find(new Reading(start, 0, stack));
                }
            }

            if (_grammar.IsAccepting(reading.State))
            {
                Leave(reading);
            }
        }
    }

    private void Leave(Reading reading)
    {
        switch (reading.Stack)
        {
            case Outermost:
                _isComplete = true;
                break;
            case Unknown:
                _leftAt = Math.Max(_leftAt, reading.Count);
                break;
            default:
                (int state, int parent, _) = _stacks[reading.Stack];
                Find(new Reading(state, 0, parent));
                break;
        }
    }

    private void Find(Reading reading)
    {
        if (_found.Contains(reading))
        {
            return;
        }

        if (_found.Count == _grammar.Limits.Readings)
        {
            throw new InvalidGrammarException("", $"the text can be read in more than {_grammar.Limits.Readings} ways at once");
        }

        _found.Add(reading);
    }

    /// <returns>The stack with one more return, or -1 when it would be too deep.</returns>
    private int Push(int state, int parent)
    {
        ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_stackNumbers, (state, parent), out bool known);
        if (!known)
        {
            int depth = _stacks[parent].Depth + 1;
            if (depth > _grammar.Limits.OpenRules)
            {
                number = -1;
            }
            else
            {
                number = _stacks.Count;
                _stacks.Add((state, parent, depth));
                _returns.Add(null);
                Interlocked.Add(ref _bytes, StackBytes);
            }
        }

        return number;
    }

    // The states that each reading returns to, from the outermost inward.
    private int[][] Unwind(ReadingSet set)
    {
        lock (_lock)
        {
            int[][] all = new int[set.Members.Length][];
            for (int i = 0; i < all.Length; i++)
            {
                var states = new Stack<int>();
                for (int stack = set.Members[i].Stack; stack > Unknown; stack = _stacks[stack].Parent)
                {
                    states.Push(_stacks[stack].State);
                }

                all[i] = [.. states];
            }

            return all;
        }
    }

    private ReadingSet Intern()
    {
        var set = new ReadingSet([.. _kept], _isComplete, _leftAt);
        ref ReadingSet? known = ref CollectionsMarshal.GetValueRefOrAddDefault(_sets, set, out _);
        if (known is null)
        {
            known = set;
            Interlocked.Add(ref _bytes, SetBytes + (ReadingBytes * set.Members.Length));
        }

        return known;
    }
}
