namespace ModelServe.Codec.Templates;

/// <summary>The arguments of a call, filter or test as written.</summary>
internal sealed class ArgumentNodes(
    Expression[] positional, (string Name, Expression Value)[] named, Expression? star, Expression? doubleStar)
{
    /// <summary>No arguments.</summary>
    public static ArgumentNodes Empty { get; } = new([], [], null, null);

    /// <summary>All expressions, in the order of evaluation.</summary>
    public IEnumerable<TemplateNode> Children => positional.Concat(named.Select(item => item.Value))
        .Concat(new[] { star, doubleStar }.OfType<Expression>());

    /// <summary>The values; <paramref name="caller"/> is added by that name when it is given.</summary>
    public CallArguments Evaluate(RenderState state, Frame frame, TemplateMacro? caller = null)
    {
        if (positional.Length == 0 && named.Length == 0 && star is null && doubleStar is null && caller is null)
        {
            return CallArguments.Empty;
        }

        var values = new List<object?>(positional.Length);
        foreach (Expression item in positional)
        {
            values.Add(item.Evaluate(state, frame));
        }

        var names = new List<KeyValuePair<string, object?>>(named.Length);
        foreach ((string name, Expression value) in named)
        {
            Add(names, name, value.Evaluate(state, frame));
        }

        if (caller is not null)
        {
            Add(names, "caller", caller);
        }

        if (star is not null)
        {
            values.AddRange(PythonIteration.ToArray(state, star.Evaluate(state, frame)));
        }

        if (doubleStar is not null)
        {
            AddMapping(names, doubleStar.Evaluate(state, frame));
        }

        return new CallArguments([.. values], [.. names]);
    }

    private static void AddMapping(List<KeyValuePair<string, object?>> names, object? value)
    {
        if (value is not TemplateDict dict)
        {
            throw new TemplateException("argument after ** must be a mapping, not " + PythonTypes.NameOf(value));
        }

        foreach ((object? key, object? item) in dict)
        {
            Add(names, PythonTypes.AsText(key) ?? throw new TemplateException("keywords must be strings"), item);
        }
    }

    private static void Add(List<KeyValuePair<string, object?>> names, string name, object? value)
    {
        foreach (KeyValuePair<string, object?> item in names)
        {
            if (item.Key == name)
            {
                throw new TemplateException($"got multiple values for keyword argument '{name}'");
            }
        }

        names.Add(new(name, value));
    }
}

/// <summary>A call of a function, method or macro.</summary>
internal sealed class CallNode(int line, Expression target, ArgumentNodes arguments) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [target, .. arguments.Children];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) => Call(state, frame, null);

    /// <summary>The call with the body of a call block as its caller.</summary>
    public object? Call(RenderState state, Frame frame, TemplateMacro? caller)
    {
        state.Step();
        RenderState.EnsureStack();
        object? callee = target.Evaluate(state, frame);
        return PythonCall.Invoke(state, callee, arguments.Evaluate(state, frame, caller));
    }
}

/// <summary>A filter applied to a value; without operand it stands in a filter block or set block and gets its text.</summary>
internal sealed class FilterNode(int line, Expression? operand, string name, ArgumentNodes arguments) : Expression(line)
{
    private readonly TemplateFilter? _filter = FilterTable.Find(name);

    /// <summary>Name of the filter.</summary>
    public string Name => name;

    /// <summary>Whether the filter exists; where it does not, Jinja2 still accepts it in a branch and fails when it is reached.</summary>
    public bool Exists => _filter is not null;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => operand is null ? arguments.Children : [operand, .. arguments.Children];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) => Apply(state, frame, null);

    /// <summary>The filtered value; <paramref name="text"/> takes the place of a missing operand.</summary>
    public object? Apply(RenderState state, Frame frame, string? text)
    {
        state.Step();
        RenderState.EnsureStack();
        object? value = operand switch
        {
            null => text,
            FilterNode inner => inner.Apply(state, frame, text),
            _ => operand.Evaluate(state, frame),
        };
        return _filter is null
            ? throw new TemplateException($"No filter named '{name}' found.")
            : _filter(state, value, arguments.Evaluate(state, frame));
    }
}

/// <summary>A test of a value.</summary>
internal sealed class TestNode(int line, Expression operand, string name, ArgumentNodes arguments) : Expression(line)
{
    private readonly TemplateTest? _test = TestTable.Find(name);

    /// <summary>Name of the test.</summary>
    public string Name => name;

    /// <summary>Whether the test exists; where it does not, Jinja2 still accepts it in a branch and fails when it is reached.</summary>
    public bool Exists => _test is not null;

    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [operand, .. arguments.Children];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        state.Step();
        object? value = operand.Evaluate(state, frame);
        return _test is null
            ? throw new TemplateException($"No test named '{name}' found.")
            : Boxed.Of(_test(state, value, arguments.Evaluate(state, frame)));
    }
}
