using System.Collections.Concurrent;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>
/// Under the real engine and truly one step ahead: chunk size, prefix hits, preemption, batch mates, depth and graphs leave every greedy
/// token as one sequence alone, unchunked, at depth 1 and without graphs gives it.
/// </summary>
public sealed class CudaCrossProductTests(StubLibrary stub)
{
    private const int OutputTokens = 20;
    private const int RoomyBlocks = 64;

    // Seven usable blocks: each sequence fits alone and none fits with its batch mates to the end.
    private const int TightBlocks = 8;

    private static readonly ConcurrentDictionary<string, (int[] Prompt, List<int> Output)[]> Expected = new(StringComparer.Ordinal);

    public static TheoryData<string, int, bool, bool, int, int, bool> Product()
    {
        var data = new TheoryData<string, int, bool, bool, int, int, bool>();
        foreach (var model in new[] { "llama", "qwen3", "mistral window" })
        {
            foreach (var chunk in new[] { 0, 3, 16 })
            {
                foreach (var (prefix, tight) in new[] { (false, false), (false, true), (true, false), (true, true) })
                {
                    foreach (var (mates, depth) in new[] { (1, 1), (1, 2), (5, 1), (5, 2) })
                    {
                        // Each model shares everything but its operations: the second and third take a smaller share of the product.
                        if (model == "llama" || (chunk == 3 && mates == 5))
                        {
                            data.Add(model, chunk, prefix, tight, mates, depth, true);
                        }

                        if (model == "llama" && chunk == 3)
                        {
                            data.Add(model, chunk, prefix, tight, mates, depth, false);
                        }
                    }
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Product))]
    public async Task Greedy_tokens_are_those_of_a_sequence_alone(
        string name, int chunk, bool prefix, bool tight, int mates, int depth, bool graphs)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], seed: 6, type: "BF16");
        var conversations = Expected.GetOrAdd(name, _ => Alone(checkpoint))[..mates];
        using var loaded = Load(checkpoint, tight ? TightBlocks : RoomyBlocks, depth, graphs);
        using var engine = new EngineLoop(
            loaded.Executor, new EngineOptions { ChunkTokens = chunk, EnablePrefixCaching = prefix }, TimeProvider.System);

        // By hand, so that the mates run together: the first one alone, so that the others find its prefix; then all at once.
        Assert.Equal(conversations[0].Output, (await Generate(engine, [conversations[0]]))[0]);
        var all = await Generate(engine, conversations);
        for (var i = 0; i < mates; i++)
        {
            Assert.Equal(conversations[i].Output, all[i]);
        }

        // What the case is about must have happened.
        Assert.Equal(prefix, engine.Status.PrefixHits > 0);
        Assert.Equal(tight && mates > 1, engine.Status.Preemptions > 0);
        Assert.Equal(graphs, ((CudaStepExecutor)loaded.Executor).GraphSteps > 0);
        Assert.Equal(0, engine.Status.BlocksInUse);
    }

    private (int[] Prompt, List<int> Output)[] Alone(RandomCheckpoint checkpoint)
    {
        using var loaded = Load(checkpoint, RoomyBlocks, depth: 1, graphs: false);
        return [.. Running.CrossProduct.Prompts(checkpoint.Model).Select(prompt =>
        {
            var driver = new Running.PlanDriver(loaded.Executor);
            driver.Admit(0, prompt);
            return (prompt, driver.Generate(0, OutputTokens));
        })];
    }

    private LoadedModel Load(RandomCheckpoint checkpoint, int blocks, int depth, bool graphs)
    {
        var options = CudaModels.Options(stub) with { Depth = depth, UseGraphs = graphs, Deterministic = true };
        return ModelLoader.Load(checkpoint.Folder, Running.CrossProduct.Options(checkpoint, options, blocks), null);
    }

    private static async Task<List<int>[]> Generate(EngineLoop engine, (int[] Prompt, List<int> Output)[] conversations)
    {
        var streams = conversations.Select((conversation, i) =>
        {
            var admission = engine.Admit(new GenerationRequest
            {
                RequestId = $"mate {i}",
                PromptTokenIds = conversation.Prompt,
                MaxTokens = OutputTokens,
            });
            Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
            return stream;
        }).ToArray();
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }

        var outputs = new List<int>[streams.Length];
        for (var i = 0; i < streams.Length; i++)
        {
            using var stream = streams[i];
            outputs[i] = [];
            var delta = new TokenDelta();
            while (await stream.ReadAsync(delta, TestContext.Current.CancellationToken))
            {
                Assert.Null(delta.Error);
                outputs[i].AddRange(delta.TokenIds);
            }
        }

        return outputs;
    }
}
