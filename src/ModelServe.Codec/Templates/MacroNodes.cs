namespace ModelServe.Codec.Templates;

/// <summary>What a macro or call block consists of: its parameters and its body, in a scope of their own.</summary>
internal sealed class MacroBody(string name, NameNode[] parameters, Expression[] defaults, Statement[] body)
{
    /// <summary>The macro's name; "caller" for a call block's body.</summary>
    public string Name => name;

    /// <summary>The parameters.</summary>
    public NameNode[] Parameters => parameters;

    /// <summary>The defaults of the last parameters.</summary>
    public Expression[] Defaults => defaults;

    /// <summary>The statements.</summary>
    public Statement[] Body => body;

    /// <summary>Layout of the scope.</summary>
    public ScopeLayout Layout { get; set; } = ScopeLayout.Empty;

    /// <summary>Slot of <c>caller</c> where the body reads it and no parameter has that name.</summary>
    public SlotReference? CallerSlot { get; set; }

    /// <summary>Slot of <c>kwargs</c> where the body reads it.</summary>
    public SlotReference? NamedSlot { get; set; }

    /// <summary>Slot of <c>varargs</c> where the body reads it.</summary>
    public SlotReference? RestSlot { get; set; }

    /// <summary>All nodes of the scope, in the order in which names are collected.</summary>
    public IEnumerable<TemplateNode> Inner => parameters.Concat<TemplateNode>(defaults).Concat(body);
}

/// <summary>The definition of a macro.</summary>
internal sealed class MacroNode(int line, NameNode target, MacroBody macro) : Statement(line)
{
    /// <summary>The name it is assigned to.</summary>
    public NameNode Target => target;

    /// <summary>Its parts.</summary>
    public MacroBody Macro => macro;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => macro.Inner.Append(target);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        frame.Write(target.Reference, new TemplateMacro(macro, frame));
        return Flow.Next;
    }
}

/// <summary>
/// A call with a body that the callee may print through <c>caller()</c>; without call (the generation tag) the body is just
/// printed, in a scope of its own.
/// </summary>
internal sealed class CallBlockNode(int line, CallNode? call, MacroBody body) : Statement(line)
{
    /// <summary>The call, in the outer scope; null for the generation tag.</summary>
    public CallNode? Call => call;

    /// <summary>The body.</summary>
    public MacroBody Body => body;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => call is null ? body.Inner : body.Inner.Append(call);

    /// <inheritdoc/>
    public override Flow Execute(RenderState state, Frame frame)
    {
        var caller = new TemplateMacro(body, frame);
        object? text = call is null ? caller.Invoke(state, CallArguments.Empty) : call.Call(state, frame, caller);
        state.Write(PythonText.Str(state, text));
        return Flow.Next;
    }
}
