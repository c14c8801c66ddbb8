namespace ModelServe.Codec.Templates;

/// <summary>Parses what follows a primary expression: attributes, subscripts, calls, filters and tests.</summary>
internal sealed class PostfixParser(TokenReader reader)
{
    /// <summary>Attributes, subscripts and calls.</summary>
    public Expression ParsePostfix(ExpressionParser expressions, Expression node)
    {
        while (true)
        {
            if (reader.Current.IsOperator("."))
            {
                reader.Next();
                TemplateToken name = reader.Next();
                node = name switch
                {
                    { Kind: TokenKind.Name } => new AttributeNode(name.Line, node, name.Text),
                    { Kind: TokenKind.Number, Value: long index } =>
                        new ItemNode(name.Line, node, new ConstantNode(name.Line, Boxed.Of(index))),
                    _ => throw TemplateSyntax.Error(name.Line, "expected name or number after '.'"),
                };
            }
            else if (reader.Current.IsOperator("["))
            {
                node = ParseSubscript(expressions, node);
            }
            else if (reader.Current.IsOperator("("))
            {
                node = new CallNode(reader.Current.Line, node, ParseArguments(expressions));
            }
            else
            {
                return node;
            }
        }
    }

    /// <summary>Filters, tests and calls of their results.</summary>
    public Expression ParseFiltersAndTests(ExpressionParser expressions, Expression node)
    {
        while (true)
        {
            if (reader.Current.IsOperator("|"))
            {
                node = ParseFilters(expressions, node, startsInline: false)!;
            }
            else if (reader.Current.IsName("is"))
            {
                node = ParseTest(expressions, node);
            }
            else if (reader.Current.IsOperator("("))
            {
                node = new CallNode(reader.Current.Line, node, ParseArguments(expressions));
            }
            else
            {
                return node;
            }
        }
    }

    /// <summary>A chain of filters; <paramref name="startsInline"/> means that the first one has no bar before it.</summary>
    public Expression? ParseFilters(ExpressionParser expressions, Expression? node, bool startsInline)
    {
        while (startsInline || reader.Current.IsOperator("|"))
        {
            if (!startsInline)
            {
                reader.Next();
            }

            int line = reader.Current.Line;
            string name = ParseDottedName();
            FilterTable.RequireImplemented(line, name);
            node = new FilterNode(line, node, name, ParseOptionalArguments(expressions));
            startsInline = false;
        }

        return node;
    }

    private string ParseDottedName()
    {
        string name = reader.Expect(TokenKind.Name).Text;
        while (reader.SkipOperator("."))
        {
            name += "." + reader.Expect(TokenKind.Name).Text;
        }

        return name;
    }

    private ArgumentNodes ParseOptionalArguments(ExpressionParser expressions) =>
        reader.Current.IsOperator("(") ? ParseArguments(expressions) : ArgumentNodes.Empty;

    private Expression ParseTest(ExpressionParser expressions, Expression node)
    {
        int line = reader.Next().Line;
        bool negated = reader.SkipName("not");
        string name = ParseDottedName();
        ArgumentNodes arguments = ArgumentNodes.Empty;
        TemplateToken next = reader.Current;
        if (next.IsOperator("("))
        {
            arguments = ParseArguments(expressions);
        }
        else if (next.Kind is TokenKind.Text or TokenKind.Number || next.IsOperator("[") || next.IsOperator("{")
            || (next.Kind == TokenKind.Name && next.Text is not ("else" or "or" or "and")))
        {
            if (next.IsName("is"))
            {
                throw TemplateSyntax.Error(next.Line, "tests cannot be chained with 'is'");
            }

            Expression argument = ParsePostfix(expressions, expressions.ParsePrimary());
            arguments = new ArgumentNodes([argument], [], null, null);
        }

        var test = new TestNode(line, node, name, arguments);
        return negated ? new NotNode(line, test) : test;
    }

    private Expression ParseSubscript(ExpressionParser expressions, Expression target)
    {
        int line = reader.Next().Line;
        Expression node = ParseSubscriptItem(expressions, target);
        if (reader.Current.IsOperator(","))
        {
            if (node is not ItemNode)
            {
                throw TemplateSyntax.Error(line, "slices inside a tuple are not supported");
            }

            var keys = new List<Expression> { ((ItemNode)node).Key };
            while (reader.SkipOperator(","))
            {
                keys.Add(expressions.ParseExpression());
            }

            node = new ItemNode(line, target, new SequenceNode(line, [.. keys], isTuple: true));
        }

        reader.ExpectOperator("]");
        return node;
    }

    private Expression ParseSubscriptItem(ExpressionParser expressions, Expression target)
    {
        int line = reader.Current.Line;
        Expression? start = null;
        if (!reader.Current.IsOperator(":"))
        {
            start = expressions.ParseExpression();
            if (!reader.Current.IsOperator(":"))
            {
                return new ItemNode(line, target, start);
            }
        }

        reader.ExpectOperator(":");
        Expression? stop = IsSliceEnd() || reader.Current.IsOperator(":") ? null : expressions.ParseExpression();
        Expression? step = reader.SkipOperator(":") && !IsSliceEnd() ? expressions.ParseExpression() : null;
        return new SliceNode(line, target, start, stop, step);
    }

    private bool IsSliceEnd() => reader.Current.IsOperator("]") || reader.Current.IsOperator(",");

    private ArgumentNodes ParseArguments(ExpressionParser expressions)
    {
        TemplateToken open = reader.ExpectOperator("(");
        reader.Enter();
        var positional = new List<Expression>();
        var named = new List<(string, Expression)>();
        Expression? star = null;
        Expression? doubleStar = null;
        bool first = true;
        while (!reader.Current.IsOperator(")"))
        {
            if (!first)
            {
                reader.ExpectOperator(",");
                if (reader.Current.IsOperator(")"))
                {
                    break;
                }
            }

            first = false;
            bool ordered = true;
            if (reader.SkipOperator("*"))
            {
                ordered = star is null && doubleStar is null;
                star = expressions.ParseExpression();
            }
            else if (reader.SkipOperator("**"))
            {
                ordered = doubleStar is null;
                doubleStar = expressions.ParseExpression();
            }
            else if (reader.Current.Kind == TokenKind.Name && reader.Ahead.IsOperator("="))
            {
                ordered = doubleStar is null;
                string name = reader.Next().Text;
                reader.Next();
                named.Add((name, expressions.ParseExpression()));
            }
            else
            {
                ordered = star is null && doubleStar is null && named.Count == 0;
                positional.Add(expressions.ParseExpression());
            }

            if (!ordered)
            {
                throw TemplateSyntax.Error(open.Line, "invalid order of call arguments");
            }
        }

        reader.Next();
        reader.Leave();
        return new ArgumentNodes([.. positional], [.. named], star, doubleStar);
    }
}
