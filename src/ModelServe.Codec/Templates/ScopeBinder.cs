namespace ModelServe.Codec.Templates;

/// <summary>
/// Gives every name of a parsed template its slot, scope by scope, and refuses filters and tests that do not exist. As in
/// Jinja2, one that stands in a branch of a condition is refused only when a render reaches it.
/// </summary>
internal static class ScopeBinder
{
    private const int MaxLevels = 400;

    /// <summary>Binds a whole template; the layout of its outermost scope.</summary>
    /// <exception cref="UnsupportedFeatureException">An unknown filter or test, an assignment to <c>loop</c> in a loop, or too deep a tree.</exception>
    public static ScopeLayout Bind(Statement[] statements)
    {
        RequireShallow(statements, 0);
        var table = new ScopeTable(null);
        CollectAll(statements, table);
        BindAll(statements, table, isBranch: false);
        return table.ToLayout();
    }

    /// <summary>Long chains (1 + 1 + …) are deep trees: what follows walks them recursively, so their depth is bounded first.</summary>
    private static void RequireShallow(IEnumerable<TemplateNode> nodes, int level)
    {
        foreach (TemplateNode node in nodes)
        {
            if (level >= MaxLevels)
            {
                throw TemplateSyntax.Error(node.Line, $"an expression of more than {MaxLevels} levels");
            }

            RequireShallow(node.Children, level + 1);
        }
    }

    private static void CollectAll(IEnumerable<TemplateNode> nodes, ScopeTable table)
    {
        foreach (TemplateNode node in nodes)
        {
            Collect(node, table);
        }
    }

    /// <summary>Notes what a node does with names in its own scope, not what happens in the scopes inside it.</summary>
    private static void Collect(TemplateNode node, ScopeTable table)
    {
        switch (node)
        {
            case NameNode { Use: NameUse.Load } name:
                table.Load(name.Name);
                break;
            case NameNode { Use: NameUse.Store } name:
                table.Store(name.Name);
                break;
            case NameNode name:
                table.DeclareParameter(name.Name);
                break;
            case IfNode condition:
                CollectIf(condition, table);
                break;
            case ForNode loop:
                Collect(loop.Iterable, table);
                break;
            case MacroNode macro:
                table.Store(macro.Target.Name);
                break;
            case CallBlockNode { Call: CallNode call }:
                Collect(call, table);
                break;
            case CallBlockNode:
                break;
            case FilterBlockNode block:
                Collect(block.Filter, table);
                break;
            case WithNode with:
                CollectAll(with.Variables.Select(item => item.Value), table);
                break;
            case SetBlockNode block:
                Collect(block.Target, table);
                break;
            default:
                CollectAll(node.Children, table);
                break;
        }
    }

    private static void CollectIf(IfNode condition, ScopeTable table)
    {
        Collect(condition.Branches[0].Test, table);
        ScopeTable body = table.CopyForBranch();
        CollectAll(condition.Branches[0].Body, body);
        ScopeTable others = table.CopyForBranch();
        foreach ((Expression test, Statement[] statements) in condition.Branches.Skip(1))
        {
            Collect(test, others);
            ScopeTable inner = others.CopyForBranch();
            CollectAll(statements, inner);
            others.Join(inner, others.CopyForBranch(), others.CopyForBranch());
        }

        ScopeTable otherwise = table.CopyForBranch();
        CollectAll(condition.Otherwise, otherwise);
        table.Join(body, others, otherwise);
    }

    private static void BindAll(IEnumerable<TemplateNode> nodes, ScopeTable table, bool isBranch)
    {
        foreach (TemplateNode node in nodes)
        {
            Bind(node, table, isBranch);
        }
    }

    private static void Bind(TemplateNode node, ScopeTable table, bool isBranch)
    {
        switch (node)
        {
            case NameNode name:
                name.Reference = table.Find(name.Name)
                    ?? throw TemplateSyntax.Error(name.Line, $"the name '{name.Name}' is not bound");
                break;
            case IfNode or ConditionalNode:
                BindAll(node.Children, table, isBranch: true);
                break;
            case ForNode loop:
                BindFor(loop, table, isBranch);
                break;
            case MacroNode macro:
                Bind(macro.Target, table, isBranch);
                BindMacro(macro.Line, macro.Macro, table);
                break;
            case CallBlockNode block:
                if (block.Call is not null)
                {
                    Bind(block.Call, table, isBranch);
                }

                BindMacro(block.Line, block.Body, table);
                break;
            case FilterBlockNode block:
                block.Layout = BindInner(block.Children, table);
                break;
            case SetBlockNode block:
                Bind(block.Target, table, isBranch);
                block.Layout = BindInner(block.Inner, table);
                break;
            case WithNode with:
                BindAll(with.Variables.Select(item => item.Value), table, isBranch);
                with.Layout = BindInner([.. with.Variables.Select(item => item.Target), .. with.Body], table);
                break;
            default:
                RequireExisting(node, isBranch);
                BindAll(node.Children, table, isBranch);
                break;
        }
    }

    private static void RequireExisting(TemplateNode node, bool isBranch)
    {
        if (!isBranch && node is FilterNode { Exists: false } filter)
        {
            throw TemplateSyntax.Error(filter.Line, $"no filter named '{filter.Name}'");
        }

        if (!isBranch && node is TestNode { Exists: false } test)
        {
            throw TemplateSyntax.Error(test.Line, $"no test named '{test.Name}'");
        }
    }

    private static ScopeLayout BindInner(IEnumerable<TemplateNode> nodes, ScopeTable outer, ScopeTable? inner = null)
    {
        inner ??= new ScopeTable(outer);
        CollectAll(nodes, inner);
        BindAll(nodes, inner, isBranch: false);
        return inner.ToLayout();
    }

    private static void BindFor(ForNode loop, ScopeTable table, bool isBranch)
    {
        Bind(loop.Iterable, table, isBranch);
        if (Walk(loop).OfType<NameNode>().Any(name => name.Name == "loop" && name.Use != NameUse.Load))
        {
            throw TemplateSyntax.Error(loop.Line, "can't assign to the special loop variable");
        }

        var body = new ScopeTable(table);
        loop.LoopSlot = body.DeclareParameter("loop");
        loop.Layout = BindInner(loop.Body.Prepend<TemplateNode>(loop.Target), table, body);
        loop.OtherwiseLayout = BindInner(loop.Otherwise, table);
        if (loop.Test is not null)
        {
            loop.TestTarget = CopyTarget(loop.Target);
            loop.TestLayout = BindInner([loop.TestTarget, loop.Test], table);
        }
    }

    private static void BindMacro(int line, MacroBody macro, ScopeTable table)
    {
        var inner = new ScopeTable(table);
        CollectAll(macro.Inner, inner);
        HashSet<string> read = [.. macro.Body.SelectMany(Walk).OfType<NameNode>()
            .Where(name => name.Use == NameUse.Load).Select(name => name.Name)];
        int caller = Array.FindIndex(macro.Parameters, parameter => parameter.Name == "caller");
        if (read.Contains("caller") && caller >= 0 && caller < macro.Parameters.Length - macro.Defaults.Length)
        {
            throw TemplateSyntax.Error(line, "a parameter named 'caller' must have a default");
        }

        macro.CallerSlot = read.Contains("caller") && caller < 0 ? inner.DeclareParameter("caller") : null;
        macro.NamedSlot = Special(macro, inner, read, "kwargs");
        macro.RestSlot = Special(macro, inner, read, "varargs");
        BindAll(macro.Inner, inner, isBranch: false);
        macro.Layout = inner.ToLayout();
    }

    private static SlotReference? Special(MacroBody macro, ScopeTable inner, HashSet<string> read, string name) =>
        read.Contains(name) && !macro.Parameters.Any(parameter => parameter.Name == name) ? inner.DeclareParameter(name) : null;

    private static IEnumerable<TemplateNode> Walk(TemplateNode node)
    {
        yield return node;
        foreach (TemplateNode child in node.Children)
        {
            foreach (TemplateNode inner in Walk(child))
            {
                yield return inner;
            }
        }
    }

    private static Expression CopyTarget(Expression target) => target switch
    {
        NameNode name => new NameNode(name.Line, name.Name) { Use = name.Use },
        SequenceNode sequence => new SequenceNode(sequence.Line, [.. sequence.Items.Select(CopyTarget)], isTuple: true),
        _ => target,
    };
}
