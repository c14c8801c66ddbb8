using System.Collections.Concurrent;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Log probabilities of prompt tokens are those of a full recompute, whatever the portions, batch mates, preemption, cache and depth.</summary>
public sealed class PromptLogprobTests
{
    private const int RoomyBlocks = 64;
    private const int TightBlocks = 8;

    private static readonly ConcurrentDictionary<string, (int[] Prompt, double[][] Logprobs)[]> Expected = new(StringComparer.Ordinal);

    public static TheoryData<string, TestedOps, int, bool, bool, int, int> Product()
    {
        var data = new TheoryData<string, TestedOps, int, bool, bool, int, int>();
        foreach (var ops in OpsKinds.All)
        {
            foreach (var model in new[] { "llama", "qwen3" })
            {
                foreach (var (chunk, prefix, tight, mates, depth) in new[]
                         {
                             (0, false, false, 1, 1), (3, true, false, 5, 1), (3, true, true, 5, 2), (16, false, true, 5, 1), (16, true, false, 5, 2),
                             (0, true, true, 5, 2), (1, true, false, 2, 2),
                         })
                {
                    data.Add(model, ops, chunk, prefix, tight, mates, depth);
                }
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Product))]
    public async Task They_are_those_of_a_full_recompute(string name, TestedOps ops, int chunk, bool prefix, bool tight, int mates, int depth)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 6);
        var expected = Expected.GetOrAdd(name, _ => Recompute(checkpoint))[..mates];
        var prompts = expected.Select(one => one.Prompt).ToArray();
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(checkpoint, ops, tight ? TightBlocks : RoomyBlocks), null);
        using var executor = new DeferredExecutor(loaded.Executor, depth);
        using var engine = new EngineLoop(
            executor, new EngineOptions { ChunkTokens = chunk, EnablePrefixCaching = prefix }, TimeProvider.System);

        // The first one alone, so that its blocks are cached when all of them come.
        await ScoredPrompts.RunAsync(engine, [prompts[0]], maxTokens: 1);
        var told = await ScoredPrompts.RunAsync(engine, prompts, maxTokens: 20);
        for (var i = 0; i < mates; i++)
        {
            ScoredPrompts.AssertClose(expected[i].Logprobs, prompts[i], told[i], 2e-4);
        }

        Assert.Equal(tight && mates > 1, engine.Status.Preemptions > 0);
        Assert.Equal(0, engine.Status.BlocksInUse);
    }

    [Theory]
    [InlineData(TestedOps.Torch)]
    [InlineData(TestedOps.Cpu)]
    [InlineData(TestedOps.Managed)]
    public async Task More_rows_than_have_logits_at_a_time_are_taken_in_tiles(TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama, seed: 4);
        int[][] prompts = [.. Enumerable.Range(0, 3).Select(i => ForwardPassTests.Prompt(checkpoint.Model, 70 + i, seed: i))];
        using var loaded = ModelLoader.Load(
            checkpoint.Folder, ForwardPassTests.Options(ops) with { MaxBatchedTokens = 256, MaxSequences = 3 }, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var told = await ScoredPrompts.RunAsync(engine, prompts, maxTokens: 0);
        for (var i = 0; i < prompts.Length; i++)
        {
            ScoredPrompts.AssertClose(ScoredPrompts.Reference(checkpoint, prompts[i]), prompts[i], told[i], 2e-4);
        }

        Assert.Equal(1, engine.Status.Steps);
    }

    [Fact]
    public void Logits_that_are_not_finite_have_no_probabilities()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 6);
        var poison = checkpoint.Weights["model.embed_tokens.weight"];
        Array.Fill(poison, float.NaN, prompt[2] * checkpoint.Model.Hidden, checkpoint.Model.Hidden);
        SafetensorsWriter.Write(
            Path.Combine(checkpoint.Folder, "model.safetensors"),
            checkpoint.Model.Tensors().Select(tensor => (tensor.Name, tensor.Shape, checkpoint.Weights[tensor.Name])),
            "F32");
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Managed), null);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt, Engine.Admission.SamplingOptions.Greedy with { PromptLogprobs = 0 });
        driver.Step((0, 2));
        Assert.All(driver.Result.Scored.Logprobs[..2], logprob => Assert.InRange(logprob, -100f, 0f));
        driver.Step((0, 4));
        Assert.All(driver.Result.Scored.Logprobs[..3], logprob => Assert.True(float.IsNaN(logprob)));
    }

    private static (int[] Prompt, double[][] Logprobs)[] Recompute(RandomCheckpoint checkpoint)
    {
        return [.. CrossProduct.Prompts(checkpoint.Model).Select(prompt => (prompt, ScoredPrompts.Reference(checkpoint, prompt)))];
    }

    private static ModelLoadOptions Options(RandomCheckpoint checkpoint, TestedOps ops, int blocks) => CrossProduct.Options(
        checkpoint, new ModelLoadOptions { Ops = OpsKinds.Kind(ops), CpuKernels = OpsKinds.Kernels(ops), Threads = 2 }, blocks);
}
