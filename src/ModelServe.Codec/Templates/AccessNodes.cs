namespace ModelServe.Codec.Templates;

/// <summary>What a name does where it stands.</summary>
internal enum NameUse
{
    /// <summary>It is read.</summary>
    Load,

    /// <summary>It is assigned.</summary>
    Store,

    /// <summary>It is bound by its scope (loop target, macro parameter, with target).</summary>
    Parameter,
}

/// <summary>A variable; bound by <see cref="ScopeBinder"/> to a slot some frames outward.</summary>
internal sealed class NameNode(int line, string name) : Expression(line)
{
    /// <summary>The variable's name.</summary>
    public string Name { get; } = name;

    /// <summary>What the name does here.</summary>
    public NameUse Use { get; set; }

    /// <summary>Where the value lies.</summary>
    public SlotReference Reference { get; set; }

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        object? value = frame.Read(Reference);
        return ReferenceEquals(value, Missing.Value) ? new Undefined($"'{Name}' is undefined") : value;
    }
}

/// <summary>An attribute of a namespace as the target of an assignment.</summary>
internal sealed class NamespaceTargetNode(int line, NameNode target, string attribute) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [target];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) =>
        throw new TemplateException("an assignment target has no value");

    /// <summary>Sets the attribute.</summary>
    public void Assign(RenderState state, Frame frame, object? value)
    {
        if (target.Evaluate(state, frame) is not TemplateNamespace space)
        {
            throw new TemplateException("cannot assign attribute on non-namespace object");
        }

        space.Attributes[attribute] = value;
    }
}

/// <summary><c>value.name</c>: attribute first, then key.</summary>
internal sealed class AttributeNode(int line, Expression target, string name) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [target];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        return MemberLookup.Attribute(target.Evaluate(state, frame), name);
    }
}

/// <summary><c>value[key]</c>: key first, then attribute.</summary>
internal sealed class ItemNode(int line, Expression target, Expression key) : Expression(line)
{
    /// <summary>The key.</summary>
    public Expression Key => key;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [target, key];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        return MemberLookup.Item(state, target.Evaluate(state, frame), key.Evaluate(state, frame));
    }
}

/// <summary><c>value[start:stop:step]</c>.</summary>
internal sealed class SliceNode(int line, Expression target, Expression? start, Expression? stop, Expression? step) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children =>
        new TemplateNode?[] { target, start, stop, step }.OfType<TemplateNode>();

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        object? value = target.Evaluate(state, frame);
        return PythonSlice.Apply(state, value, start?.Evaluate(state, frame), stop?.Evaluate(state, frame),
            step?.Evaluate(state, frame));
    }
}
