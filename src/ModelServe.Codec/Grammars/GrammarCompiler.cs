using System.Text;
using System.Text.Json;
using ModelServe.Codec.CallGrammars;

namespace ModelServe.Codec.Grammars;

/// <summary>Turns what a client asks of an output's form into grammars over one vocabulary. Thread-safe.</summary>
/// <remarks>Compiling is bounded work of milliseconds; do it off the engine's thread.</remarks>
public sealed class GrammarCompiler
{
    private readonly TokenTrie _trie;
    private readonly FreeText _text;
    private readonly GrammarLimits _limits;

    /// <summary>A compiler for one vocabulary.</summary>
    public GrammarCompiler(TokenTrie trie, GrammarLimits? limits = null)
    {
        _trie = trie;
        _text = new FreeText(trie);
        _limits = limits ?? new GrammarLimits();
    }

    private GrammarCompiler(TokenTrie trie, FreeText text, GrammarLimits limits)
    {
        _trie = trie;
        _text = text;
        _limits = limits;
    }

    /// <summary>The same compiler, which gives up with <see cref="OperationCanceledException"/> when it is told to.</summary>
    public GrammarCompiler Until(CancellationToken cancellationToken) => new(_trie, _text, _limits with { Cancellation = cancellationToken });

    /// <summary>Any JSON object.</summary>
    public CompiledGrammar JsonObject()
    {
        var builder = new GrammarBuilder(_limits);
        var json = new JsonRules(builder);
        return builder.Build(builder.Add("object", json.Object), _trie);
    }

    /// <summary>JSON text that a JSON Schema admits.</summary>
    /// <exception cref="InvalidGrammarException">The schema is malformed, too large, admits nothing, or asks for what is not supported.</exception>
    public CompiledGrammar JsonSchema(string schema)
    {
        CheckLength(schema);
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(schema, new JsonDocumentOptions { MaxDepth = _limits.Depth });
        }
        catch (JsonException exception)
        {
            throw new InvalidGrammarException("#", $"not JSON, or nested deeper than {_limits.Depth}: byte {exception.BytePositionInLine} of line {exception.LineNumber + 1}");
        }

        using (document)
        {
            var builder = new GrammarBuilder(_limits);
            int root = new SchemaCompiler(builder, new JsonRules(builder), document.RootElement).Compile(document.RootElement);
            return builder.Build(root, _trie);
        }
    }

    /// <summary>Text that a regular expression matches as a whole.</summary>
    /// <exception cref="InvalidGrammarException">The expression is malformed, too large, or not regular.</exception>
    public CompiledGrammar Regex(string pattern)
    {
        CheckLength(pattern);
        var builder = new GrammarBuilder(_limits);
        return builder.Build(
            builder.Add("pattern", RegexParser.Parse(pattern, isSearch: false, set => RuleNode.Characters(set), _limits, "pattern")), _trie);
    }

    /// <summary>Text that a grammar in EBNF admits, from its rule <c>root</c> (see <see cref="EbnfParser"/> for what is read).</summary>
    /// <exception cref="InvalidGrammarException">The grammar is malformed or too large, admits nothing, or two rules begin with each other.</exception>
    public CompiledGrammar Ebnf(string grammar)
    {
        CheckLength(grammar);
        var builder = new GrammarBuilder(_limits);
        return builder.Build(EbnfParser.Parse(grammar, _limits).AddTo(builder), _trie);
    }

    /// <summary>One of given texts.</summary>
    /// <exception cref="InvalidGrammarException">There is none, or they are too long together.</exception>
    public CompiledGrammar Choice(IReadOnlyCollection<string> texts)
    {
        int length = texts.Sum(text => text.Length);
        if (texts.Count == 0 || length > _limits.SourceCharacters)
        {
            throw new InvalidGrammarException("", $"1 or more texts of at most {_limits.SourceCharacters} characters together; got {texts.Count} of {length}");
        }

        var builder = new GrammarBuilder(_limits);
        return builder.Build(builder.Add("choice", RuleNode.Either([.. texts.Select(RuleNode.Text)])), _trie);
    }

    /// <summary>Answers whose tool calls are held to their tools.</summary>
    /// <exception cref="InvalidGrammarException">A schema is malformed or too large, or it, or the model's format, cannot be held to.</exception>
    public CompiledGrammar ToolCalls(CallDemand demand) =>
        CallGrammar.Build(demand, _trie, _text, _limits);

    private void CheckLength(string source)
    {
        if (source.Length > _limits.SourceCharacters)
        {
            throw new InvalidGrammarException("", $"at most {_limits.SourceCharacters} characters; got {source.Length}");
        }

        try
        {
            _ = new UTF8Encoding(false, throwOnInvalidBytes: true).GetByteCount(source);
        }
        catch (EncoderFallbackException exception)
        {
            throw new InvalidGrammarException("", $"text without lone surrogates; there is one at character {exception.Index}");
        }
    }
}
