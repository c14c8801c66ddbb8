using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Engine.Tests.Running;

/// <summary>An engine over the fake executor that a test steps by hand, with everything its requests have received.</summary>
internal sealed class EngineScenario : IDisposable
{
    private readonly List<Conversation> _conversations = [];

    public EngineScenario(ExecutorGeometry? geometry = null, EngineOptions? options = null, int depth = 1, NextToken? nextToken = null)
    {
        Executor = new FakeExecutor(geometry ?? Small, depth, nextToken);
        Engine = new EngineLoop(Executor, options ?? new EngineOptions { PrefixHashKey = 7 }, Time, Healed.Add);
    }

    public static ExecutorGeometry Small { get; } = new(
        VocabularySize: 50, MaxModelLength: 64, BlockTokens: 4, BlockCount: 33, MaxSequences: 4, MaxBatchedTokens: 16, MaxTopLogprobs: 5);

    public FakeTimeProvider Time { get; } = new();

    public FakeExecutor Executor { get; }

    public EngineLoop Engine { get; }

    public List<string> Healed { get; } = [];

    public IReadOnlyList<Conversation> Conversations => _conversations;

    public static GenerationRequest Request(string id, int[] prompt, int maxTokens = 8) => new()
    {
        RequestId = id,
        PromptTokenIds = prompt,
        MaxTokens = maxTokens,
    };

    public static int[] Prompt(int length, int seed = 1) =>
        [.. Enumerable.Range(0, length).Select(i => ((i * 7) + (seed * 13)) % 50)];

    /// <summary>What an engine must answer: the rule applied to a growing prefix until a limit or a stop token.</summary>
    public static List<int> Expected(GenerationRequest request, ExecutorGeometry geometry)
    {
        var all = new List<int>(request.PromptTokenIds.ToArray());
        var output = new List<int>();
        while (output.Count < request.MaxTokens && all.Count < geometry.MaxModelLength)
        {
            var token = (int)(FakeExecutor.HashOf(all.ToArray()) % (uint)geometry.VocabularySize);
            all.Add(token);
            output.Add(token);
            if (output.Count > request.Sampling.MinTokens && request.StopTokenIds.Contains(token))
            {
                break;
            }
        }

        return output;
    }

    /// <summary>That a request was told what the fake says of its prompt, whole.</summary>
    public static void AssertScored(Conversation conversation, ExecutorGeometry geometry)
    {
        var prompt = conversation.Request.PromptTokenIds.ToArray();
        var scores = conversation.PromptLogprobs;
        Assert.NotNull(scores);
        Assert.Equal(prompt.Length - 1, scores.Count);
        for (var entry = 0; entry < scores.Count; entry++)
        {
            var (logprob, target) = (FakeScores.LogprobOf(prompt.AsSpan(0, entry + 1), prompt[entry + 1]), prompt[entry + 1]);
            Assert.Equal(logprob, scores.Logprobs[entry]);
            Assert.Equal(1 + target, scores.Ranks[entry]);
            Assert.Equal(conversation.Request.Sampling.PromptLogprobs, scores.TopCount);
            for (var rank = 0; rank < scores.TopCount; rank++)
            {
                Assert.Equal((target + rank) % geometry.VocabularySize, scores.TopTokenIds(entry)[rank]);
                Assert.Equal(logprob - rank, scores.TopLogprobs(entry)[rank]);
            }
        }
    }

    public Conversation Admit(GenerationRequest request)
    {
        var result = Engine.Admit(request);
        Assert.True(result.Stream is not null, result.Rejection?.Message);
        var conversation = new Conversation(request, result.Stream);
        _conversations.Add(conversation);
        return conversation;
    }

    /// <summary>Steps once, checks every invariant, and lets every reader look.</summary>
    public bool Step()
    {
        var more = Engine.RunStep();
        Engine.CheckInvariants();
        ReadAll();
        return more;
    }

    public void ReadAll()
    {
        foreach (var conversation in _conversations)
        {
            conversation.Read();
        }
    }

    /// <summary>Steps until nothing is left to do.</summary>
    public void RunToEnd(int limit = 10_000)
    {
        for (var i = 0; Step(); i++)
        {
            Assert.True(i < limit, $"still busy after {limit} steps");
        }
    }

    public void Dispose()
    {
        Engine.Dispose();
        Executor.Dispose();
    }
}
