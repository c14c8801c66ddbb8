using System.Collections.Concurrent;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Under the real engine: chunk size, prefix hits, preemption, batch mates and depth leave every greedy token as a full recompute gives it.</summary>
public sealed class EngineCrossProductTests
{
    private const int OutputTokens = 20;
    private const int RoomyBlocks = 64;

    // Seven usable blocks: each sequence fits alone and none fits with its batch mates to the end.
    private const int TightBlocks = 8;

    private static readonly ConcurrentDictionary<string, (int[] Prompt, List<int> Output)[]> Expected = new(StringComparer.Ordinal);

    public static TheoryData<string, TestedOps, int, bool, bool, int, int> Product()
    {
        var data = new TheoryData<string, TestedOps, int, bool, bool, int, int>();
        foreach (var ops in OpsKinds.All)
        {
            foreach (var model in new[] { "llama", "qwen3" })
            {
                foreach (var chunk in new[] { 0, 3, 16 })
                {
                    foreach (var (prefix, tight) in new[] { (false, false), (false, true), (true, false), (true, true) })
                    {
                        foreach (var (mates, depth) in new[] { (1, 1), (1, 2), (5, 1), (5, 2) })
                        {
                            // The oracle is slow and shares everything but the operations: its share of the product is smaller.
                            if (ops != TestedOps.Torch || (chunk == 3 && mates == 5))
                            {
                                data.Add(model, ops, chunk, prefix, tight, mates, depth);
                            }
                        }
                    }
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Product))]
    public async Task Greedy_tokens_are_those_of_a_full_recompute(
        string name, TestedOps ops, int chunk, bool prefix, bool tight, int mates, int depth)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 6);
        var conversations = Expected.GetOrAdd(name, _ => Recompute(checkpoint))[..mates];
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(checkpoint, ops, tight), null);
        using var executor = new DeferredExecutor(loaded.Executor, depth);
        using var engine = new EngineLoop(
            executor, new EngineOptions { ChunkTokens = chunk, EnablePrefixCaching = prefix }, TimeProvider.System);
        engine.Start();

        // The first one alone, so that the others find its prefix; then all at once.
        Assert.Equal(conversations[0].Output, await Generate(engine, "first", conversations[0].Prompt));
        var all = await GenerateTogether(engine, executor, conversations);
        for (var i = 0; i < mates; i++)
        {
            Assert.Equal(conversations[i].Output, all[i]);
        }

        // What the case is about must have happened.
        Assert.Equal(prefix, engine.Status.PrefixHits > 0);
        Assert.Equal(tight && mates > 1, engine.Status.Preemptions > 0);
        Assert.Equal(0, engine.Status.BlocksInUse);
    }

    private static (int[] Prompt, List<int> Output)[] Recompute(RandomCheckpoint checkpoint)
    {
        var reference = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights);
        return [.. CrossProduct.Prompts(checkpoint.Model).Select(prompt => (prompt, reference.Greedy(prompt, OutputTokens)))];
    }

    private static ModelLoadOptions Options(RandomCheckpoint checkpoint, TestedOps ops, bool tight) => CrossProduct.Options(
        checkpoint, new ModelLoadOptions { Ops = OpsKinds.Kind(ops), CpuKernels = OpsKinds.Kernels(ops), Threads = 2 }, tight ? TightBlocks : RoomyBlocks);

    private static Task<List<int>[]> GenerateTogether(
        EngineLoop engine, DeferredExecutor executor, (int[] Prompt, List<int> Output)[] conversations)
    {
        executor.Hold();
        var running = conversations.Select((c, i) => Generate(engine, $"mate {i}", c.Prompt)).ToArray();
        executor.Release();
        return Task.WhenAll(running);
    }

    private static async Task<List<int>> Generate(EngineLoop engine, string id, int[] prompt)
    {
        var admission = engine.Admit(new GenerationRequest { RequestId = id, PromptTokenIds = prompt, MaxTokens = OutputTokens });
        Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
        using (stream)
        {
            var tokens = new List<int>();
            var delta = new TokenDelta();
            while (await stream.ReadAsync(delta, TestContext.Current.CancellationToken))
            {
                Assert.Null(delta.Error);
                tokens.AddRange(delta.TokenIds);
            }

            return tokens;
        }
    }
}
