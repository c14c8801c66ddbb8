using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.Grammars;

namespace ModelServe.Api.Models;

/// <summary>A grammar that an output is to follow, before it is compiled. Immutable.</summary>
internal sealed class WantedGrammar
{
    private readonly Func<GrammarCompiler, CompiledGrammar> _compile;

    private WantedGrammar(string key, string field, Func<GrammarCompiler, CompiledGrammar> compile)
    {
        Key = key;
        Field = field;
        _compile = compile;
    }

    /// <summary>Equal for equal grammars only.</summary>
    public string Key { get; }

    /// <summary>The field that asks for it, for refusals.</summary>
    public string Field { get; }

    /// <summary>Any JSON object.</summary>
    public static WantedGrammar JsonObject(string field) => new("object", field, compiler => compiler.JsonObject());

    /// <summary>JSON that a schema admits.</summary>
    public static WantedGrammar JsonSchema(string schema, string field) => new("schema\0" + schema, field, compiler => compiler.JsonSchema(schema));

    /// <summary>Text that a regular expression matches as a whole.</summary>
    public static WantedGrammar Regex(string pattern, string field) => new("regex\0" + pattern, field, compiler => compiler.Regex(pattern));

    /// <summary>Text that a grammar in EBNF admits.</summary>
    public static WantedGrammar Ebnf(string grammar, string field) => new("ebnf\0" + grammar, field, compiler => compiler.Ebnf(grammar));

    /// <summary>One of several texts, which contain no U+0000.</summary>
    public static WantedGrammar Choice(IReadOnlyCollection<string> texts, string field) =>
        new("choice\0" + string.Join('\0', texts), field, compiler => compiler.Choice(texts));

    /// <summary>Tool calls.</summary>
    public static WantedGrammar Calls(CallDemand demand, string field) => new("calls\0" + demand.Key(), field, compiler => compiler.ToolCalls(demand));

    /// <summary>Compiles it.</summary>
    /// <exception cref="InvalidGrammarException">It is malformed, too large, or asks for what is not supported.</exception>
    /// <exception cref="OperationCanceledException">It took too long.</exception>
    public CompiledGrammar Compile(GrammarCompiler compiler, CancellationToken cancellationToken) => _compile(compiler.Until(cancellationToken));
}
