namespace ModelServe.Codec.Templates;

/// <summary>A constant.</summary>
internal sealed class ConstantNode(int line, object? value) : Expression(line)
{
    /// <summary>The value.</summary>
    public object? Value { get; } = value;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) => Value;
}

/// <summary>A list or tuple display.</summary>
internal sealed class SequenceNode(int line, Expression[] items, bool isTuple) : Expression(line)
{
    /// <summary>The elements.</summary>
    public Expression[] Items { get; } = items;

    /// <summary>Whether it is a tuple, which may also be assigned to.</summary>
    public bool IsTuple { get; } = isTuple;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => Items;

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        state.Charge(Items.Length);
        var values = new object?[Items.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = Items[i].Evaluate(state, frame);
        }

        return IsTuple ? new TemplateTuple(values) : new TemplateList(values);
    }
}

/// <summary>A dict display.</summary>
internal sealed class DictNode(int line, (Expression Key, Expression Value)[] entries) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => entries.SelectMany(entry => new TemplateNode[] { entry.Key, entry.Value });

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        state.Charge(entries.Length);
        var dict = new TemplateDict(entries.Length);
        foreach ((Expression key, Expression value) in entries)
        {
            dict.Set(key.Evaluate(state, frame), value.Evaluate(state, frame));
        }

        return dict;
    }
}

/// <summary>String conversion and concatenation of two or more values (<c>~</c>).</summary>
internal sealed class ConcatNode(int line, Expression[] items) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => items;

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        state.Step();
        var parts = new string[items.Length];
        long length = 0;
        for (int i = 0; i < items.Length; i++)
        {
            parts[i] = PythonText.Str(state, items[i].Evaluate(state, frame));
            length += parts[i].Length;
        }

        state.ChargeText(length);
        return string.Concat(parts);
    }
}
