using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Parses Jinja2 expressions by its own precedence: condition, or, and, not, comparison, + -, ~, * / // %, **, sign.</summary>
internal sealed class ExpressionParser(TokenReader reader)
{
    private static readonly HashSet<string> Constants = ["true", "false", "none", "True", "False", "None"];
    private readonly PostfixParser _postfix = new(reader);

    /// <summary>A whole expression, with the inline condition.</summary>
    public Expression ParseExpression()
    {
        reader.Enter();
        Expression value = ParseOr();
        while (reader.Current.IsName("if"))
        {
            int line = reader.Next().Line;
            Expression test = ParseOr();
            Expression? otherwise = reader.SkipName("else") ? ParseExpression() : null;
            value = new ConditionalNode(line, test, value, otherwise);
        }

        reader.Leave();
        return value;
    }

    /// <summary>
    /// One expression, or a tuple where a comma follows. <paramref name="withCondition"/> allows the inline condition,
    /// <paramref name="endName"/> is a keyword that also ends the tuple.
    /// </summary>
    public Expression ParseTuple(bool withCondition = true, string? endName = null, bool inParentheses = false)
    {
        int line = reader.Current.Line;
        var items = new List<Expression>();
        bool isTuple = false;
        while (true)
        {
            if (items.Count > 0)
            {
                reader.ExpectOperator(",");
            }

            if (IsTupleEnd(endName))
            {
                break;
            }

            items.Add(withCondition ? ParseExpression() : ParseOr());
            if (!reader.Current.IsOperator(","))
            {
                break;
            }

            isTuple = true;
        }

        if (!isTuple && items.Count > 0)
        {
            return items[0];
        }

        return items.Count > 0 || inParentheses ? new SequenceNode(line, [.. items], isTuple: true) : throw reader.Unexpected("an expression");
    }

    /// <summary>The target of an assignment: names, tuples of names and, where allowed, an attribute of a namespace.</summary>
    public Expression ParseTarget(NameUse use, bool allowNamespace = false, string? endName = null)
    {
        TemplateToken first = reader.Current;
        if (allowNamespace && first.Kind == TokenKind.Name && reader.Ahead.IsOperator("."))
        {
            reader.Next();
            reader.Next();
            return new NamespaceTargetNode(first.Line, new NameNode(first.Line, first.Text), reader.Expect(TokenKind.Name).Text);
        }

        var items = new List<Expression>();
        bool isTuple = false;
        while (true)
        {
            if (items.Count > 0)
            {
                reader.ExpectOperator(",");
            }

            if (IsTupleEnd(endName) || (items.Count > 0 && reader.Current.IsOperator("=")))
            {
                break;
            }

            items.Add(ParseTargetItem(use));
            if (!reader.Current.IsOperator(","))
            {
                break;
            }

            isTuple = true;
        }

        return items.Count == 0 ? throw reader.Unexpected("a name")
            : isTuple ? new SequenceNode(first.Line, [.. items], isTuple: true) : items[0];
    }

    /// <summary>A single name as a target.</summary>
    public NameNode ParseTargetName(NameUse use)
    {
        TemplateToken token = reader.Expect(TokenKind.Name);
        return Constants.Contains(token.Text)
            ? throw TemplateSyntax.Error(token.Line, $"can't assign to '{token.Text}'")
            : new NameNode(token.Line, token.Text) { Use = use };
    }

    /// <summary>One filter or a chain of them without operand, for filter blocks and set blocks.</summary>
    public FilterNode ParseFilters(bool startsInline) =>
        _postfix.ParseFilters(this, null, startsInline) as FilterNode ?? throw reader.Unexpected("a filter");

    /// <summary>A primary expression: name, literal, display or parenthesised expression.</summary>
    public Expression ParsePrimary()
    {
        TemplateToken token = reader.Current;
        switch (token.Kind)
        {
            case TokenKind.Name:
                reader.Next();
                return token.Text switch
                {
                    "true" or "True" => new ConstantNode(token.Line, Boxed.True),
                    "false" or "False" => new ConstantNode(token.Line, Boxed.False),
                    "none" or "None" => new ConstantNode(token.Line, null),
                    _ => new NameNode(token.Line, token.Text),
                };
            case TokenKind.Text:
                var text = new List<string>();
                while (reader.Current.Kind == TokenKind.Text)
                {
                    text.Add((string)reader.Next().Value!);
                }

                return new ConstantNode(token.Line, string.Concat(text));
            case TokenKind.Number:
                return new ConstantNode(token.Line, reader.Next().Value);
            case TokenKind.Operator when token.Text == "(":
                reader.Next();
                Expression inner = ParseTuple(inParentheses: true);
                reader.ExpectOperator(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return ParseList();
            case TokenKind.Operator when token.Text == "{":
                return ParseDict();
            default:
                throw reader.Unexpected("an expression");
        }
    }

    private bool IsTupleEnd(string? endName) =>
        reader.Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd || reader.Current.IsOperator(")")
        || (endName is not null && reader.Current.IsName(endName));

    private Expression ParseTargetItem(NameUse use)
    {
        if (!reader.Current.IsOperator("("))
        {
            return ParseTargetName(use);
        }

        reader.Enter();
        reader.Next();
        Expression inner = ParseTarget(use);
        reader.ExpectOperator(")");
        reader.Leave();
        return inner;
    }

    private SequenceNode ParseList()
    {
        int line = reader.Next().Line;
        var items = new List<Expression>();
        while (!reader.Current.IsOperator("]"))
        {
            if (items.Count > 0)
            {
                reader.ExpectOperator(",");
            }

            if (!reader.Current.IsOperator("]"))
            {
                items.Add(ParseExpression());
            }
        }

        reader.Next();
        return new SequenceNode(line, [.. items], isTuple: false);
    }

    private DictNode ParseDict()
    {
        int line = reader.Next().Line;
        var entries = new List<(Expression, Expression)>();
        while (!reader.Current.IsOperator("}"))
        {
            if (entries.Count > 0)
            {
                reader.ExpectOperator(",");
            }

            if (!reader.Current.IsOperator("}"))
            {
                Expression key = ParseExpression();
                reader.ExpectOperator(":");
                entries.Add((key, ParseExpression()));
            }
        }

        reader.Next();
        return new DictNode(line, [.. entries]);
    }

    private Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (reader.Current.IsName("or"))
        {
            int line = reader.Next().Line;
            left = new LogicNode(line, isAnd: false, left, ParseAnd());
        }

        return left;
    }

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (reader.Current.IsName("and"))
        {
            int line = reader.Next().Line;
            left = new LogicNode(line, isAnd: true, left, ParseNot());
        }

        return left;
    }

    private Expression ParseNot()
    {
        if (!reader.Current.IsName("not"))
        {
            return ParseCompare();
        }

        reader.Enter();
        int line = reader.Next().Line;
        var node = new NotNode(line, ParseNot());
        reader.Leave();
        return node;
    }

    private Expression ParseCompare()
    {
        int line = reader.Current.Line;
        Expression first = ParseSum();
        var rest = new List<(ComparisonOperator, Expression)>();
        while (true)
        {
            ComparisonOperator? op = reader.Current switch
            {
                { Kind: TokenKind.Operator, Text: "==" } => ComparisonOperator.Equal,
                { Kind: TokenKind.Operator, Text: "!=" } => ComparisonOperator.NotEqual,
                { Kind: TokenKind.Operator, Text: "<" } => ComparisonOperator.Less,
                { Kind: TokenKind.Operator, Text: "<=" } => ComparisonOperator.LessOrEqual,
                { Kind: TokenKind.Operator, Text: ">" } => ComparisonOperator.Greater,
                { Kind: TokenKind.Operator, Text: ">=" } => ComparisonOperator.GreaterOrEqual,
                { Kind: TokenKind.Name, Text: "in" } => ComparisonOperator.In,
                { Kind: TokenKind.Name, Text: "not" } when reader.Ahead.IsName("in") => ComparisonOperator.NotIn,
                _ => null,
            };
            if (op is null)
            {
                return rest.Count == 0 ? first : new CompareNode(line, first, [.. rest]);
            }

            reader.Next();
            if (op == ComparisonOperator.NotIn)
            {
                reader.Next();
            }

            rest.Add((op.Value, ParseSum()));
        }
    }

    private Expression ParseSum()
    {
        Expression left = ParseConcat();
        while (reader.Current.IsOperator("+") || reader.Current.IsOperator("-"))
        {
            TemplateToken op = reader.Next();
            left = new ArithmeticNode(
                op.Line, op.Text == "+" ? ArithmeticOperator.Add : ArithmeticOperator.Subtract, left, ParseConcat());
        }

        return left;
    }

    private Expression ParseConcat()
    {
        int line = reader.Current.Line;
        Expression first = ParseProduct();
        if (!reader.Current.IsOperator("~"))
        {
            return first;
        }

        var items = new List<Expression> { first };
        while (reader.SkipOperator("~"))
        {
            items.Add(ParseProduct());
        }

        return new ConcatNode(line, [.. items]);
    }

    private Expression ParseProduct()
    {
        Expression left = ParsePower();
        while (reader.Current is { Kind: TokenKind.Operator, Text: "*" or "/" or "//" or "%" })
        {
            TemplateToken token = reader.Next();
            ArithmeticOperator op = token.Text switch
            {
                "*" => ArithmeticOperator.Multiply,
                "/" => ArithmeticOperator.Divide,
                "//" => ArithmeticOperator.FloorDivide,
                _ => ArithmeticOperator.Modulo,
            };
            left = new ArithmeticNode(token.Line, op, left, ParsePower());
        }

        return left;
    }

    private Expression ParsePower()
    {
        Expression left = ParseUnary(withFilters: true);
        while (reader.Current.IsOperator("**"))
        {
            int line = reader.Next().Line;
            left = new ArithmeticNode(line, ArithmeticOperator.Power, left, ParseUnary(withFilters: true));
        }

        return left;
    }

    private Expression ParseUnary(bool withFilters)
    {
        Expression node;
        TemplateToken token = reader.Current;
        if (token.IsOperator("-") || token.IsOperator("+"))
        {
            reader.Enter();
            reader.Next();
            Expression operand = ParseUnary(withFilters: false);
            node = token.Text == "-" && operand is ConstantNode { Value: long or double or BigInteger } number
                ? new ConstantNode(token.Line, PythonArithmetic.Sign(negate: true, number.Value))
                : new SignNode(token.Line, token.Text == "-", operand);
            reader.Leave();
        }
        else
        {
            node = ParsePrimary();
        }

        node = _postfix.ParsePostfix(this, node);
        return withFilters ? _postfix.ParseFiltersAndTests(this, node) : node;
    }
}
