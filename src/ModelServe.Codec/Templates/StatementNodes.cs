namespace ModelServe.Codec.Templates;

/// <summary>Text of the template, printed as it is.</summary>
internal sealed class DataNode(int line, string text) : Statement(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [];

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        state.Write(text);
        return Flow.Next;
    }
}

/// <summary>A printed expression.</summary>
internal sealed class PrintNode(int line, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [value];

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        state.Write(PythonText.Str(state, value.Evaluate(state, frame)));
        return Flow.Next;
    }
}

/// <summary>if / elif / else.</summary>
internal sealed class IfNode(int line, (Expression Test, Statement[] Body)[] branches, Statement[] otherwise) : Statement(line)
{
    /// <summary>The tests with their bodies, in order.</summary>
    public (Expression Test, Statement[] Body)[] Branches => branches;

    /// <summary>The else body.</summary>
    public Statement[] Otherwise => otherwise;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children =>
        branches.SelectMany(branch => branch.Body.Prepend<TemplateNode>(branch.Test)).Concat(otherwise);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        foreach ((Expression test, Statement[] body) in branches)
        {
            if (PythonTypes.IsTrue(test.Evaluate(state, frame)))
            {
                return ExecuteAll(body, state, frame);
            }
        }

        return ExecuteAll(otherwise, state, frame);
    }
}

/// <summary>An assignment of a value.</summary>
internal sealed class SetNode(int line, Expression target, Expression value) : Statement(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [value, target];

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        Assignment.Assign(state, frame, target, value.Evaluate(state, frame));
        return Flow.Next;
    }
}

/// <summary>An assignment of what the body prints, filtered where a filter is given.</summary>
internal sealed class SetBlockNode(int line, Expression target, FilterNode? filter, Statement[] body) : Statement(line)
{
    /// <summary>The assigned target, in the outer scope.</summary>
    public Expression Target => target;

    /// <summary>What belongs to the inner scope.</summary>
    public IEnumerable<TemplateNode> Inner => filter is null ? body : body.Append<TemplateNode>(filter);

    /// <summary>Layout of the body's scope.</summary>
    public ScopeLayout Layout { get; set; } = ScopeLayout.Empty;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => Inner.Append(target);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        Frame inner = Frame.Enter(Layout, frame, state);
        string text = Capture(body, state, inner);
        Assignment.Assign(state, frame, target, filter is null ? text : filter.Apply(state, inner, text));
        return Flow.Next;
    }
}

/// <summary>A block whose printed text passes through a filter.</summary>
internal sealed class FilterBlockNode(int line, FilterNode filter, Statement[] body) : Statement(line)
{
    /// <summary>The filter.</summary>
    public FilterNode Filter => filter;

    /// <summary>The filtered statements.</summary>
    public Statement[] Body => body;

    /// <summary>Layout of the body's scope.</summary>
    public ScopeLayout Layout { get; set; } = ScopeLayout.Empty;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => body.Append<TemplateNode>(filter);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        Frame inner = Frame.Enter(Layout, frame, state);
        string text = Capture(body, state, inner);
        state.Write(PythonText.Str(state, filter.Apply(state, inner, text)));
        return Flow.Next;
    }
}

/// <summary>with: a scope with variables of its own, whose values come from the outer scope.</summary>
internal sealed class WithNode(int line, (Expression Target, Expression Value)[] variables, Statement[] body) : Statement(line)
{
    /// <summary>The variables.</summary>
    public (Expression Target, Expression Value)[] Variables => variables;

    /// <summary>The statements inside.</summary>
    public Statement[] Body => body;

    /// <summary>Layout of the body's scope.</summary>
    public ScopeLayout Layout { get; set; } = ScopeLayout.Empty;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children =>
        variables.SelectMany(item => new TemplateNode[] { item.Value, item.Target }).Concat(body);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        Frame inner = Frame.Enter(Layout, frame, state);
        foreach ((Expression target, Expression value) in variables)
        {
            Assignment.Assign(state, inner, target, value.Evaluate(state, frame));
        }

        return ExecuteAll(body, state, inner);
    }
}

/// <summary>break or continue.</summary>
internal sealed class LoopControlNode(int line, Flow flow) : Statement(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [];

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame) => flow;
}
