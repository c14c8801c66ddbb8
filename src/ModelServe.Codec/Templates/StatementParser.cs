namespace ModelServe.Codec.Templates;

/// <summary>Parses a template's statements; tags that chat templates have no use for are refused by name.</summary>
internal sealed class StatementParser
{
    private static readonly HashSet<string> Refused =
        ["block", "extends", "include", "import", "from", "autoescape", "do", "trans", "pluralize", "debug"];

    private readonly TokenReader _reader;
    private readonly ExpressionParser _expressions;
    private int _loops;

    private StatementParser(TokenReader reader)
    {
        _reader = reader;
        _expressions = new ExpressionParser(reader);
    }

    /// <summary>The statements of a whole template, names not yet bound.</summary>
    /// <exception cref="UnsupportedFeatureException">A syntax error or an unknown tag or filter; says the line.</exception>
    public static Statement[] Parse(string source)
    {
        var parser = new StatementParser(new TokenReader(TemplateLexer.Tokenize(source)));
        return parser.ParseUntil([]);
    }

    private Statement[] ParseUntil(string[] ends)
    {
        _reader.Enter();
        var statements = new List<Statement>();
        while (true)
        {
            TemplateToken token = _reader.Current;
            switch (token.Kind)
            {
                case TokenKind.Data:
                    statements.Add(new DataNode(token.Line, _reader.Next().Text));
                    break;
                case TokenKind.VariableBegin:
                    _reader.Next();
                    statements.Add(new PrintNode(token.Line, _expressions.ParseTuple()));
                    _reader.Expect(TokenKind.VariableEnd);
                    break;
                case TokenKind.BlockBegin when _reader.Ahead.Kind == TokenKind.Name && ends.Contains(_reader.Ahead.Text):
                    _reader.Next();
                    _reader.Leave();
                    return [.. statements];
                case TokenKind.BlockBegin:
                    _reader.Next();
                    ParseStatement(statements);
                    _reader.Expect(TokenKind.BlockEnd);
                    break;
                default:
                    if (ends.Length > 0)
                    {
                        throw _reader.Unexpected($"'{ends[^1]}'");
                    }

                    _reader.Leave();
                    return [.. statements];
            }
        }
    }

    private Statement[] ParseBody(params string[] ends)
    {
        _reader.SkipOperator(":");
        _reader.Expect(TokenKind.BlockEnd);
        return ParseUntil(ends);
    }

    /// <summary>The body of a tag with a single end, which is taken too.</summary>
    private Statement[] ParseWholeBody(string end)
    {
        Statement[] body = ParseBody(end);
        _reader.Next();
        return body;
    }

    private void ParseStatement(List<Statement> statements)
    {
        TemplateToken tag = _reader.Expect(TokenKind.Name);
        switch (tag.Text)
        {
            case "if":
                statements.Add(ParseIf(tag.Line));
                break;
            case "for":
                statements.Add(ParseFor(tag.Line));
                break;
            case "set":
                statements.Add(ParseSet(tag.Line));
                break;
            case "macro":
                statements.Add(ParseMacro(tag.Line));
                break;
            case "call":
                statements.Add(ParseCall(tag.Line));
                break;
            case "filter":
                FilterNode filter = _expressions.ParseFilters(startsInline: true);
                statements.Add(new FilterBlockNode(tag.Line, filter, ParseWholeBody("endfilter")));
                break;
            case "with":
                statements.Add(ParseWith(tag.Line));
                break;
            case "generation":
                statements.Add(new CallBlockNode(tag.Line, null, new MacroBody("caller", [], [],
                    ParseOutsideLoops(() => ParseWholeBody("endgeneration")))));
                break;
            case "print":
                ParsePrint(statements);
                break;
            case "break" or "continue":
                statements.Add(_loops > 0
                    ? new LoopControlNode(tag.Line, tag.Text == "break" ? Flow.Break : Flow.Continue)
                    : throw TemplateSyntax.Error(tag.Line, $"'{tag.Text}' outside a loop"));
                break;
            default:
                throw TemplateSyntax.Error(tag.Line, Refused.Contains(tag.Text)
                    ? $"the tag '{tag.Text}' is not supported" : $"unknown tag '{tag.Text}'");
        }
    }

    private IfNode ParseIf(int line)
    {
        var branches = new List<(Expression, Statement[])>();
        Statement[] otherwise = [];
        while (true)
        {
            Expression test = _expressions.ParseTuple(withCondition: false);
            branches.Add((test, ParseBody("elif", "else", "endif")));
            string end = _reader.Next().Text;
            if (end == "else")
            {
                otherwise = ParseWholeBody("endif");
            }

            if (end != "elif")
            {
                return new IfNode(line, [.. branches], otherwise);
            }
        }
    }

    private ForNode ParseFor(int line)
    {
        Expression target = _expressions.ParseTarget(NameUse.Parameter, endName: "in");
        _reader.ExpectName("in");
        Expression iterable = _expressions.ParseTuple(withCondition: false, endName: "recursive");
        Expression? test = _reader.SkipName("if") ? _expressions.ParseExpression() : null;
        bool isRecursive = _reader.SkipName("recursive");
        _loops++;
        Statement[] body = ParseBody("endfor", "else");
        _loops--;
        Statement[] otherwise = _reader.Next().Text == "else" ? ParseWholeBody("endfor") : [];
        return new ForNode(line, target, iterable, test, isRecursive, body, otherwise);
    }

    private Statement ParseSet(int line)
    {
        Expression target = _expressions.ParseTarget(NameUse.Store, allowNamespace: true);
        if (_reader.SkipOperator("="))
        {
            return new SetNode(line, target, _expressions.ParseTuple());
        }

        FilterNode? filter = _reader.Current.IsOperator("|") ? _expressions.ParseFilters(startsInline: false) : null;
        return new SetBlockNode(line, target, filter, ParseWholeBody("endset"));
    }

    private WithNode ParseWith(int line)
    {
        var variables = new List<(Expression, Expression)>();
        while (_reader.Current.Kind != TokenKind.BlockEnd)
        {
            if (variables.Count > 0)
            {
                _reader.ExpectOperator(",");
            }

            Expression target = _expressions.ParseTarget(NameUse.Parameter);
            _reader.ExpectOperator("=");
            variables.Add((target, _expressions.ParseExpression()));
        }

        return new WithNode(line, [.. variables], ParseWholeBody("endwith"));
    }

    private void ParsePrint(List<Statement> statements)
    {
        bool first = true;
        while (_reader.Current.Kind != TokenKind.BlockEnd)
        {
            if (!first)
            {
                _reader.ExpectOperator(",");
            }

            first = false;
            statements.Add(new PrintNode(_reader.Current.Line, _expressions.ParseExpression()));
        }
    }

    private MacroNode ParseMacro(int line)
    {
        NameNode name = _expressions.ParseTargetName(NameUse.Store);
        (NameNode[] parameters, Expression[] defaults) = ParseSignature();
        Statement[] body = ParseOutsideLoops(() => ParseWholeBody("endmacro"));
        return new MacroNode(line, name, new MacroBody(name.Name, parameters, defaults, body));
    }

    private CallBlockNode ParseCall(int line)
    {
        (NameNode[] parameters, Expression[] defaults) = _reader.Current.IsOperator("(") ? ParseSignature() : ([], []);
        CallNode call = _expressions.ParseExpression() as CallNode ?? throw TemplateSyntax.Error(line, "expected a call");
        Statement[] body = ParseOutsideLoops(() => ParseWholeBody("endcall"));
        return new CallBlockNode(line, call, new MacroBody("caller", parameters, defaults, body));
    }

    private (NameNode[] Parameters, Expression[] Defaults) ParseSignature()
    {
        _reader.ExpectOperator("(");
        var parameters = new List<NameNode>();
        var defaults = new List<Expression>();
        while (!_reader.Current.IsOperator(")"))
        {
            if (parameters.Count > 0)
            {
                _reader.ExpectOperator(",");
            }

            NameNode parameter = _expressions.ParseTargetName(NameUse.Parameter);
            if (parameters.Exists(other => other.Name == parameter.Name))
            {
                throw TemplateSyntax.Error(parameter.Line, $"duplicate parameter '{parameter.Name}'");
            }

            parameters.Add(parameter);
            if (_reader.SkipOperator("="))
            {
                defaults.Add(_expressions.ParseExpression());
            }
            else if (defaults.Count > 0)
            {
                throw TemplateSyntax.Error(parameter.Line, "a parameter without default follows one with default");
            }
        }

        _reader.Next();
        return ([.. parameters], [.. defaults]);
    }

    /// <summary>Parses a body that becomes a function of its own: the loops around it cannot be left from inside.</summary>
    private Statement[] ParseOutsideLoops(Func<Statement[]> parse)
    {
        int loops = _loops;
        _loops = 0;
        Statement[] body = parse();
        _loops = loops;
        return body;
    }
}
