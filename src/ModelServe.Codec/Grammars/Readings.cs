using System.Runtime.InteropServices;

namespace ModelServe.Codec.Grammars;

/// <summary>One way to read the text so far: a state, the characters of the bounded string it is in, and where to return.</summary>
internal readonly record struct Reading(int State, int Count, int Stack);

/// <summary>Every set of readings met while one text is followed, each with a number, so that a move seen before is a table look-up.</summary>
/// <remarks>Number 0 is the dead set. A lazily built deterministic automaton over configurations of the pushdown automaton. Not thread-safe.</remarks>
internal sealed class Readings
{
    /// <summary>The set without readings, from which nothing is allowed.</summary>
    public const int Dead = 0;

    /// <summary>The stack on which a return ends the whole text.</summary>
    public const int Outermost = 0;

    /// <summary>The stack of which only the top rule is known: a return leaves what was asked.</summary>
    public const int Unknown = 1;

    private readonly CompiledGrammar _grammar;
    private readonly bool _isBounded;
    private readonly List<(int State, int Parent, int Depth)> _stacks = [(-1, -1, 0), (-1, -1, 0)];
    private readonly Dictionary<(int State, int Parent), int> _stackNumbers = [];
    private readonly List<ReadingSet> _sets = [];
    private readonly Dictionary<ReadingSet, int> _setNumbers = [];
    private readonly List<Reading> _found = [];
    private readonly List<Reading> _kept = [];
    private bool _isComplete;
    private int _leftAt;

    /// <summary>No set but the dead one.</summary>
    /// <param name="grammar">What is followed.</param>
    /// <param name="isBounded">Whether the bounds of counted strings hold in the outermost rule too; without them its count, of which the beginning is not known, is only kept.</param>
    public Readings(CompiledGrammar grammar, bool isBounded)
    {
        _grammar = grammar;
        _isBounded = isBounded;
        Begin();
        Intern();
    }

    /// <summary>How many sets there are.</summary>
    public int Count => _sets.Count;

    /// <summary>The set of that number.</summary>
    public ReadingSet this[int number] => _sets[number];

    /// <summary>The set of everything that may come next in a state over a stack.</summary>
    public int Enter(int state, int stack)
    {
        Begin();
        Close(new Reading(state, 0, stack));
        return Intern();
    }

    /// <summary>The set after a return to what is below a stack.</summary>
    public int Return(int stack)
    {
        (int state, int parent, _) = _stacks[stack];
        return Enter(state, parent);
    }

    /// <summary>Takes over a set of another instance of the same grammar.</summary>
    public int Import(Readings other, int number)
    {
        Begin();
        ReadingSet set = other._sets[number];
        foreach (Reading reading in set.Members)
        {
            _kept.Add(reading with { Stack = ImportStack(other, reading.Stack) });
        }

        _isComplete = set.IsComplete;
        _leftAt = set.LeftAt;
        return Intern();
    }

    /// <summary>The set after one more byte.</summary>
    /// <exception cref="InvalidGrammarException">The text may be read in too many ways.</exception>
    public int Next(int number, byte value)
    {
        ReadingSet set = _sets[number];
        int known = set.Known(value);
        if (known >= 0)
        {
            return known;
        }

        int next = Move(set, value);
        set.Remember(value, next);
        return next;
    }

    private int Move(ReadingSet set, byte value)
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
            }
        }

        return number;
    }

    private int ImportStack(Readings other, int stack)
    {
        // A stack may be hundreds deep, so no recursion over it.
        var states = new Stack<int>();
        for (; stack > Unknown; stack = other._stacks[stack].Parent)
        {
            states.Push(other._stacks[stack].State);
        }

        foreach (int state in states)
        {
            stack = Push(state, stack);
        }

        return stack;
    }

    private int Intern()
    {
        var set = new ReadingSet([.. _kept], _isComplete, _leftAt);
        ref int number = ref CollectionsMarshal.GetValueRefOrAddDefault(_setNumbers, set, out bool known);
        if (!known)
        {
            number = _sets.Count;
            _sets.Add(set);
        }

        return number;
    }
}
