namespace ModelServe.Codec.Templates;

/// <summary>The arithmetic operators.</summary>
internal enum ArithmeticOperator
{
    /// <summary>+</summary>
    Add,

    /// <summary>-</summary>
    Subtract,

    /// <summary>*</summary>
    Multiply,

    /// <summary>/</summary>
    Divide,

    /// <summary>//</summary>
    FloorDivide,

    /// <summary>%</summary>
    Modulo,

    /// <summary>**</summary>
    Power,
}

/// <summary>The comparison operators.</summary>
internal enum ComparisonOperator
{
    /// <summary>==</summary>
    Equal,

    /// <summary>!=</summary>
    NotEqual,

    /// <summary>&lt;</summary>
    Less,

    /// <summary>&lt;=</summary>
    LessOrEqual,

    /// <summary>&gt;</summary>
    Greater,

    /// <summary>&gt;=</summary>
    GreaterOrEqual,

    /// <summary>in</summary>
    In,

    /// <summary>not in</summary>
    NotIn,
}

/// <summary>An arithmetic operation.</summary>
internal sealed class ArithmeticNode(int line, ArithmeticOperator op, Expression left, Expression right) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [left, right];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        return PythonArithmetic.Apply(state, op, left.Evaluate(state, frame), right.Evaluate(state, frame));
    }
}

/// <summary>A signed operand.</summary>
internal sealed class SignNode(int line, bool negate, Expression operand) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [operand];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) => PythonArithmetic.Sign(negate, operand.Evaluate(state, frame));
}

/// <summary>Negation of truth.</summary>
internal sealed class NotNode(int line, Expression operand) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [operand];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame) =>
        Boxed.Of(!PythonTypes.IsTrue(operand.Evaluate(state, frame)));
}

/// <summary>Short-circuit and/or; the value is one of the operands.</summary>
internal sealed class LogicNode(int line, bool isAnd, Expression left, Expression right) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [left, right];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        object? value = left.Evaluate(state, frame);
        return PythonTypes.IsTrue(value) == isAnd ? right.Evaluate(state, frame) : value;
    }
}

/// <summary>A comparison, possibly chained (<c>a &lt; b &lt;= c</c>).</summary>
internal sealed class CompareNode(int line, Expression first, (ComparisonOperator Op, Expression Operand)[] rest) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => [first, .. rest.Select(item => item.Operand)];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        state.Step();
        object? left = first.Evaluate(state, frame);
        foreach ((ComparisonOperator op, Expression operand) in rest)
        {
            object? right = operand.Evaluate(state, frame);
            if (!PythonComparison.Holds(state, op, left, right))
            {
                return Boxed.False;
            }

            left = right;
        }

        return Boxed.True;
    }
}

/// <summary>The inline <c>a if b else c</c>; without else an undefined value.</summary>
internal sealed class ConditionalNode(int line, Expression test, Expression then, Expression? otherwise) : Expression(line)
{
    /// <inheritdoc/>
    public override IEnumerable<TemplateNode> Children => otherwise is null ? [test, then] : [test, then, otherwise];

    /// <inheritdoc/>
    public override object? Evaluate(RenderState state, Frame frame)
    {
        RenderState.EnsureStack();
        if (PythonTypes.IsTrue(test.Evaluate(state, frame)))
        {
            return then.Evaluate(state, frame);
        }

        return otherwise is null
            ? new Undefined($"the inline if-expression on line {Line} evaluated to false and no else section was defined.")
            : otherwise.Evaluate(state, frame);
    }
}
