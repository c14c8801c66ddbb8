namespace ModelServe.Codec.Grammars;

/// <summary>The named rules of a grammar's text, on their way into a <see cref="GrammarBuilder"/>. Not thread-safe.</summary>
/// <remarks>
/// Two rewritings keep the language and make it one that can be followed fast: a rule that begins with itself becomes a repetition (what
/// the grammar of a calculator's expressions is usually written with), and small rules that do not recur are put where they are named,
/// so that a character costs no call.
/// </remarks>
internal sealed class EbnfRules
{
    private const string RootName = "root";
    private const int MostInlined = 256;
    private const int MostOfOneRule = 4096;

    private readonly List<(string Name, int Line, RuleNode? Body)> _rules = [];
    private readonly Dictionary<string, int> _indices = new(StringComparer.Ordinal);

    /// <summary>The number of a rule that is named, which may be defined later.</summary>
    public int Refer(string name, int line)
    {
        if (!_indices.TryGetValue(name, out int index))
        {
            index = _rules.Count;
            _indices.Add(name, index);
            _rules.Add((name, line, null));
        }

        return index;
    }

    /// <summary>Says what a rule matches; false where that was said before.</summary>
    public bool TryDefine(string name, RuleNode body)
    {
        int index = Refer(name, 0);
        bool isNew = _rules[index].Body is null;
        _rules[index] = (name, 0, WithoutLeftRecursion(body, index));
        return isNew;
    }

    /// <summary>Adds every rule to a builder, and answers with the root's number there.</summary>
    /// <exception cref="InvalidGrammarException">A rule is missing, or one has too many states.</exception>
    public int AddTo(GrammarBuilder builder)
    {
        foreach ((string name, int line, RuleNode? body) in _rules)
        {
            if (body is null)
            {
                throw new InvalidGrammarException(name, $"a rule of this name is used in line {line} and is nowhere defined");
            }
        }

        if (!_indices.TryGetValue(RootName, out int root))
        {
            throw new InvalidGrammarException("", $"no rule '{RootName}', with which a text begins; rules are written '{RootName} ::= …'");
        }

        RuleNode?[] inlined = Inline(builder.Limits);
        var numbers = new int[_rules.Count];
        HashSet<int> own = [root];
        var bodies = new RuleNode[_rules.Count];
        for (int i = 0; i < bodies.Length; i++)
        {
            RuleNode whole = Replace(_rules[i].Body!, call => inlined[call] ?? new RuleNode.Call(call));
            bodies[i] = Size(whole) <= MostOfOneRule ? whole : _rules[i].Body!;
            if (inlined[i] is null)
            {
                own.Add(i);
                AddCalls(bodies[i], own);
            }
        }

        foreach (int rule in own)
        {
            numbers[rule] = builder.Declare(_rules[rule].Name);
        }

        foreach (int rule in own)
        {
            builder.Limits.Cancellation.ThrowIfCancellationRequested();
            builder.Define(numbers[rule], Replace(bodies[rule], call => new RuleNode.Call(numbers[call])));
        }

        return numbers[root];
    }

    /// <summary>a ::= a x | y is y x*: the same texts, from their first byte on.</summary>
    private static RuleNode WithoutLeftRecursion(RuleNode body, int self)
    {
        IReadOnlyList<RuleNode> options = body is RuleNode.Choice choice ? choice.Options : [body];
        var begins = new List<RuleNode>();
        var goesOn = new List<RuleNode>();
        foreach (RuleNode option in options)
        {
            if (option is RuleNode.Sequence { Items: { Count: > 0 } items } && items[0] is RuleNode.Call call && call.Rule == self)
            {
                goesOn.Add(RuleNode.Then([.. items.Skip(1)]));
            }
            else if (option is not RuleNode.Call { Rule: var alone } || alone != self)
            {
                begins.Add(option);
            }
        }

        return begins.Count == options.Count ? body : RuleNode.Then(RuleNode.Either(begins), new RuleNode.Repeat(RuleNode.Either(goesOn), 0, null));
    }

    /// <summary>[rule] what it matches without a call, where it is small and leads to no circle; callees first, so that no recursion is as long as a chain of rules.</summary>
    private RuleNode?[] Inline(GrammarLimits limits)
    {
        var callers = new List<int>[_rules.Count];
        var open = new int[_rules.Count];
        var ready = new Queue<int>();
        for (int i = 0; i < _rules.Count; i++)
        {
            callers[i] = [];
        }

        for (int i = 0; i < _rules.Count; i++)
        {
            HashSet<int> called = [];
            AddCalls(_rules[i].Body!, called);
            open[i] = called.Count;
            foreach (int call in called)
            {
                callers[call].Add(i);
            }

            if (called.Count == 0)
            {
                ready.Enqueue(i);
            }
        }

        var inlined = new RuleNode?[_rules.Count];
        while (ready.TryDequeue(out int rule))
        {
            limits.Cancellation.ThrowIfCancellationRequested();
            RuleNode whole = Replace(_rules[rule].Body!, call => inlined[call]!);
            if (Size(whole) > MostInlined)
            {
                continue;
            }

            inlined[rule] = whole;
            foreach (int caller in callers[rule])
            {
                if (--open[caller] == 0)
                {
                    ready.Enqueue(caller);
                }
            }
        }

        return inlined;
    }

    private static RuleNode Replace(RuleNode node, Func<int, RuleNode> call) => node switch
    {
        RuleNode.Call { Rule: var rule } => call(rule),
        RuleNode.Sequence { Items: var items } => RuleNode.Then([.. items.Select(item => Replace(item, call))]),
        RuleNode.Choice { Options: var options } => RuleNode.Either([.. options.Select(option => Replace(option, call))]),
        RuleNode.Repeat repeat => repeat with { Item = Replace(repeat.Item, call) },
        _ => node,
    };

    private static void AddCalls(RuleNode node, HashSet<int> called) => Replace(node, call =>
    {
        called.Add(call);
        return node;
    });

    /// <summary>About the states that a rule without calls takes, and never less than its depth.</summary>
    private static long Size(RuleNode node) => node switch
    {
        RuleNode.Literal { Value: var bytes } => bytes.Length,
        RuleNode.Sequence { Items: var items } => 1 + items.Sum(Size),
        RuleNode.Choice { Options: var options } => 1 + options.Sum(Size),
        RuleNode.Repeat repeat => 1 + (Size(repeat.Item) * Math.Max(1, repeat.Max ?? repeat.Min)),
        _ => 1,
    };
}
