namespace ModelServe.Codec.Templates;

/// <summary>for / else, with a lazily evaluated filter, and recursion where it is marked so.</summary>
internal sealed class ForNode(
    int line, Expression target, Expression iterable, Expression? test, bool isRecursive, Statement[] body, Statement[] otherwise)
    : Statement(line)
{
    /// <summary>The loop variables.</summary>
    public Expression Target => target;

    /// <summary>The iterable, in the outer scope.</summary>
    public Expression Iterable => iterable;

    /// <summary>The filter, in a scope of its own.</summary>
    public Expression? Test => test;

    /// <summary>The target as the filter sees it: the same names in its own scope.</summary>
    public Expression? TestTarget { get; set; }

    /// <summary>Whether the loop may be called with another iterable.</summary>
    public bool IsRecursive => isRecursive;

    /// <summary>The repeated statements.</summary>
    public Statement[] Body => body;

    /// <summary>The statements for a loop that ended no iteration.</summary>
    public Statement[] Otherwise => otherwise;

    /// <summary>Layout of the body's scope.</summary>
    public ScopeLayout Layout { get; set; } = ScopeLayout.Empty;

    /// <summary>Layout of the filter's scope.</summary>
    public ScopeLayout TestLayout { get; set; } = ScopeLayout.Empty;

    /// <summary>Layout of the else scope.</summary>
    public ScopeLayout OtherwiseLayout { get; set; } = ScopeLayout.Empty;

    /// <summary>Slot of <c>loop</c> in the body's scope.</summary>
    public SlotReference LoopSlot { get; set; }

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children =>
        new TemplateNode?[] { iterable, target, test }.OfType<TemplateNode>().Concat(body).Concat(otherwise);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        Run(state, frame, iterable.Evaluate(state, frame), 0);
        return Flow.Next;
    }

    /// <summary>Runs the loop over <paramref name="values"/>; <paramref name="depth"/> counts the recursion from 0.</summary>
    public void Run(RenderState state, Frame frame, object? values, int depth)
    {
        RenderState.EnsureStack();
        IEnumerator<object?> items = PythonIteration.Enumerate(state, values);
        long length = test is null ? PythonTypes.TryLength(values) : -1;
        if (test is not null)
        {
            items = Filter(state, frame, items);
        }

        var loop = new LoopContext(state, this, frame, items, length, depth);
        Frame inner = Frame.Create(Layout, frame);
        bool ended = false;
        while (loop.MoveNext())
        {
            state.CountIteration(loop.Index0);
            inner.Load(Layout, state);
            inner.Write(LoopSlot, loop);
            Assignment.Assign(state, inner, target, loop.Current);
            Flow flow = ExecuteAll(body, state, inner);
            if (flow == Flow.Break)
            {
                break;
            }

            // A first iteration left by break or continue does not keep the else branch from running: Jinja2's own rule.
            ended |= flow == Flow.Next;
        }

        if (!ended && otherwise.Length > 0)
        {
            ExecuteAll(otherwise, state, Frame.Enter(OtherwiseLayout, frame, state));
        }
    }

    private IEnumerator<object?> Filter(RenderState state, Frame frame, IEnumerator<object?> items)
    {
        Frame inner = Frame.Create(TestLayout, frame);
        while (items.MoveNext())
        {
            state.Step();
            inner.Load(TestLayout, state);
            Assignment.Assign(state, inner, TestTarget!, items.Current);
            if (PythonTypes.IsTrue(test!.Evaluate(state, inner)))
            {
                yield return items.Current;
            }
        }
    }
}
