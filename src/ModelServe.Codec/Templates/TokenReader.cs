namespace ModelServe.Codec.Templates;

/// <summary>Walks over a template's tokens for the parsers and refuses what they do not expect.</summary>
internal sealed class TokenReader(List<TemplateToken> tokens)
{
    private const int MaxNesting = 100;
    private int _index;
    private int _nesting;

    /// <summary>The token to be read next.</summary>
    public TemplateToken Current => tokens[_index];

    /// <summary>The token after <see cref="Current"/>.</summary>
    public TemplateToken Ahead => tokens[Math.Min(_index + 1, tokens.Count - 1)];

    /// <summary>Takes the current token; the end is never passed.</summary>
    public TemplateToken Next()
    {
        TemplateToken token = tokens[_index];
        if (_index < tokens.Count - 1)
        {
            _index++;
        }

        return token;
    }

    /// <summary>Takes the operator if it is next.</summary>
    public bool SkipOperator(string text) => SkipIf(Current.IsOperator(text));

    /// <summary>Takes the keyword if it is next.</summary>
    public bool SkipName(string text) => SkipIf(Current.IsName(text));

    /// <summary>Takes the operator or refuses.</summary>
    public TemplateToken ExpectOperator(string text) => Current.IsOperator(text) ? Next() : throw Unexpected($"'{text}'");

    /// <summary>Takes the keyword or refuses.</summary>
    public TemplateToken ExpectName(string text) => Current.IsName(text) ? Next() : throw Unexpected($"'{text}'");

    /// <summary>Takes a token of the kind or refuses.</summary>
    public TemplateToken Expect(TokenKind kind) => Current.Kind == kind ? Next() : throw Unexpected(kind.ToString());

    /// <summary>The refusal of the current token.</summary>
    public UnsupportedFeatureException Unexpected(string wanted) => TemplateSyntax.Error(
        Current.Line, Current.Kind == TokenKind.End ? $"the template ends where {wanted} is expected"
            : $"unexpected '{Current.Text}', expected {wanted}");

    /// <summary>Counts a level of nesting, so that no source can exhaust the stack.</summary>
    public void Enter()
    {
        if (++_nesting > MaxNesting)
        {
            throw TemplateSyntax.Error(Current.Line, $"more than {MaxNesting} levels of nesting");
        }
    }

    /// <summary>Leaves a level of nesting.</summary>
    public void Leave() => _nesting--;

    private bool SkipIf(bool condition)
    {
        if (condition)
        {
            Next();
        }

        return condition;
    }
}
