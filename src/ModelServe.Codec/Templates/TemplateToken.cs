namespace ModelServe.Codec.Templates;

/// <summary>The kinds of token that a template's source consists of.</summary>
internal enum TokenKind
{
    /// <summary>Text between tags, printed as it is.</summary>
    Data,

    /// <summary>Start of an expression tag.</summary>
    VariableBegin,

    /// <summary>End of an expression tag.</summary>
    VariableEnd,

    /// <summary>Start of a statement tag.</summary>
    BlockBegin,

    /// <summary>End of a statement tag.</summary>
    BlockEnd,

    /// <summary>Identifier or keyword.</summary>
    Name,

    /// <summary>String literal; the value is the unescaped string.</summary>
    Text,

    /// <summary>Number literal; the value is a boxed long, BigInteger or double.</summary>
    Number,

    /// <summary>Operator or punctuation.</summary>
    Operator,

    /// <summary>End of the source.</summary>
    End,
}

/// <summary>One token of a template.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Text">Its text: the data, the name, the operator, the literal as written.</param>
/// <param name="Line">The 1-based line it starts on.</param>
/// <param name="Value">The value of a literal.</param>
internal readonly record struct TemplateToken(TokenKind Kind, string Text, int Line, object? Value = null)
{
    /// <summary>Whether this is the operator <paramref name="text"/>.</summary>
    public bool IsOperator(string text) => Kind == TokenKind.Operator && Text == text;

    /// <summary>Whether this is the name <paramref name="text"/>.</summary>
    public bool IsName(string text) => Kind == TokenKind.Name && Text == text;
}
