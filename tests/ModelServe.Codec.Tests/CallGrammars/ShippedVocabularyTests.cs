using ModelServe.Codec.CallGrammars;
using ModelServe.Codec.Grammars;
using ModelServe.Codec.ToolCalls;
using Xunit;

namespace ModelServe.Codec.Tests.CallGrammars;

/// <summary>Random walks over the tokens of the shipped model, by the mask, token for token.</summary>
public sealed class ShippedVocabularyTests
{
    private const int Walks = 12;

    public static TheoryData<string> Formats => [.. AnswerFormat.Names.Except(["none", "reasoning", "gemma"])];

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_walk_that_ends_is_calls_that_fit(string format)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(Path.Combine(Root(), "models", "tiny-mini"));
        TokenTrie trie = TokenTrie.Of(tokenizer, tokenizer.VocabularySize);
        CompiledGrammar grammar = new GrammarCompiler(trie).ToolCalls(CallWalk.Demand(format, isForced: true, reasoning: ReasoningPlace.None));
        int ended = 0;
        for (int seed = 0; seed < Walks; seed++)
        {
            if (CallWalk.Next(grammar, trie, new Random(seed), ending: 0.9) is { } text)
            {
                ParsedAnswer answer = CallWalk.Parse(format, text);
                Assert.True(answer.ToolCalls.Count > 0 && answer.Content.Length == 0, text);
                Assert.All(answer.ToolCalls, call => Assert.Null(CallWalk.Fault(call)));
                ended++;
            }
        }

        Assert.InRange(ended, 1, Walks);
    }

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "ModelServe.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside their repository");
    }
}
