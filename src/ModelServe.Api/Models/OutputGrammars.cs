using ModelServe.Codec.Grammars;

namespace ModelServe.Api.Models;

/// <summary>What an output is asked to be.</summary>
internal enum GrammarKind
{
    /// <summary>Any JSON object.</summary>
    JsonObject,

    /// <summary>JSON that a schema admits.</summary>
    JsonSchema,

    /// <summary>Text that a regular expression matches as a whole.</summary>
    Regex,

    /// <summary>One of several texts, separated by U+0000.</summary>
    Choice,
}

/// <summary>The grammars of one model's vocabulary: made on first use, the latest ones kept. Thread-safe.</summary>
/// <remarks>Compiling runs on the calling request's thread, one at a time for each model, within the limits of <see cref="GrammarLimits"/>.</remarks>
internal sealed class OutputGrammars
{
    private const int Kept = 64;
    private readonly Lock _lock = new();
    private readonly Lazy<GrammarCompiler> _compiler;
    private readonly Dictionary<(GrammarKind Kind, string Source), LinkedListNode<((GrammarKind, string) Key, CompiledGrammar Grammar)>> _known = [];
    private readonly LinkedList<((GrammarKind, string) Key, CompiledGrammar Grammar)> _recent = [];

    /// <summary>Grammars over a vocabulary.</summary>
    /// <param name="makeTrie">Makes the vocabulary's tree, when the first grammar is asked for.</param>
    public OutputGrammars(Func<TokenTrie> makeTrie) => _compiler = new Lazy<GrammarCompiler>(() => new GrammarCompiler(makeTrie()));

    /// <summary>The grammar of a kind.</summary>
    /// <exception cref="InvalidGrammarException">The source is malformed, too large, or asks for what is not supported.</exception>
    public CompiledGrammar Get(GrammarKind kind, string source)
    {
        lock (_lock)
        {
            if (_known.TryGetValue((kind, source), out LinkedListNode<((GrammarKind, string) Key, CompiledGrammar Grammar)>? node))
            {
                _recent.Remove(node);
                _recent.AddFirst(node);
                return node.Value.Grammar;
            }

            CompiledGrammar grammar = Compile(kind, source);
            grammar.WarmUp();
            if (_known.Count == Kept)
            {
                _known.Remove(_recent.Last!.Value.Key);
                _recent.RemoveLast();
            }

            _known.Add((kind, source), _recent.AddFirst(((kind, source), grammar)));
            return grammar;
        }
    }

    private CompiledGrammar Compile(GrammarKind kind, string source) => kind switch
    {
        GrammarKind.JsonObject => _compiler.Value.JsonObject(),
        GrammarKind.JsonSchema => _compiler.Value.JsonSchema(source),
        GrammarKind.Regex => _compiler.Value.Regex(source),
        GrammarKind.Choice => _compiler.Value.Choice(source.Split('\0')),
        _ => throw new InvalidOperationException($"no grammar for {kind}"),
    };
}
