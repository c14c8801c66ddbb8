namespace ModelServe.Codec.Templates;

/// <summary>A node of a parsed template; immutable once its names are bound, so that any number of renders share it.</summary>
internal abstract class TemplateNode(int line)
{
    /// <summary>The 1-based line of the source.</summary>
    public int Line { get; } = line;

    /// <summary>The nodes directly inside, in the order of evaluation.</summary>
    public abstract IEnumerable<TemplateNode> Children { get; }
}

/// <summary>A node with a value.</summary>
internal abstract class Expression(int line) : TemplateNode(line)
{
    /// <summary>The value in this frame.</summary>
    /// <exception cref="TemplateException">As Python would raise.</exception>
    public abstract object? Evaluate(RenderState state, Frame frame);
}

/// <summary>A node that acts: prints, assigns, repeats.</summary>
internal abstract class Statement(int line) : TemplateNode(line)
{
    /// <summary>Acts; how the enclosing loop goes on.</summary>
    public abstract Flow Execute(RenderState state, Frame frame);

    /// <summary>Executes statements up to the first break or continue.</summary>
    public static Flow ExecuteAll(Statement[] statements, RenderState state, Frame frame)
    {
        foreach (Statement statement in statements)
        {
            state.Step();
            Flow flow = statement.Execute(state, frame);
            if (flow != Flow.Next)
            {
                return flow;
            }
        }

        return Flow.Next;
    }

    /// <summary>Executes statements and returns what they print instead of printing it.</summary>
    public static string Capture(Statement[] statements, RenderState state, Frame frame)
    {
        state.BeginCapture();
        ExecuteAll(statements, state, frame);
        return state.EndCapture();
    }
}

/// <summary>How the enclosing loop goes on after a statement.</summary>
internal enum Flow
{
    /// <summary>With the next statement.</summary>
    Next,

    /// <summary>With the statement after the loop.</summary>
    Break,

    /// <summary>With the next iteration.</summary>
    Continue,
}
