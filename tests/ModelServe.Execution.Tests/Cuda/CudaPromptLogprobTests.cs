using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Log probabilities of prompt tokens over the C ABI: those of the CPU within bfloat16's rounding, and the same whatever runs beside them.</summary>
public sealed class CudaPromptLogprobTests(StubLibrary stub)
{
    private const int TightBlocks = 8;
    private const int RoomyBlocks = 64;

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    [InlineData("mistral window")]
    public async Task They_agree_with_a_full_recompute_within_the_rounding(string name)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], seed: 6, type: "BF16");
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 41);
        using var loaded = Load(checkpoint, RoomyBlocks, depth: 2, graphs: true);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var told = await ScoredPrompts.RunAsync(engine, [prompt], maxTokens: 0);
        ScoredPrompts.AssertClose(ScoredPrompts.Reference(checkpoint, prompt), prompt, told[0], 1e-1);
    }

    [Theory]
    [InlineData(0, false, true, 1, true)]
    [InlineData(0, false, false, 2, true)]
    [InlineData(3, true, false, 2, true)]
    [InlineData(3, true, true, 2, false)]
    [InlineData(16, true, true, 1, true)]
    [InlineData(1, true, false, 2, true)]
    public async Task Portions_mates_preemption_cache_and_depth_change_no_bit(int chunk, bool prefix, bool tight, int depth, bool graphs)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        int[][] prompts = Running.CrossProduct.Prompts(checkpoint.Model);
        var alone = new PromptLogprobs[prompts.Length];
        using (var loaded = Load(checkpoint, RoomyBlocks, depth: 1, graphs: false))
        using (var engine = new EngineLoop(loaded.Executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System))
        {
            for (var i = 0; i < alone.Length; i++)
            {
                alone[i] = (await ScoredPrompts.RunAsync(engine, [prompts[i]], maxTokens: 1))[0];
            }
        }

        using (var loaded = Load(checkpoint, tight ? TightBlocks : RoomyBlocks, depth, graphs))
        using (var engine = new EngineLoop(
            loaded.Executor, new EngineOptions { ChunkTokens = chunk, EnablePrefixCaching = prefix }, TimeProvider.System))
        {
            await ScoredPrompts.RunAsync(engine, [prompts[0]], maxTokens: 1);
            var told = await ScoredPrompts.RunAsync(engine, prompts, maxTokens: 20);
            for (var i = 0; i < alone.Length; i++)
            {
                ScoredPrompts.AssertSame(alone[i], told[i]);
            }

            Assert.Equal(tight, engine.Status.Preemptions > 0);
        }
    }

    [Fact]
    public async Task More_rows_than_have_logits_at_a_time_are_taken_in_tiles()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 4, type: "BF16");
        int[][] prompts = [.. Enumerable.Range(0, 3).Select(i => ForwardPassTests.Prompt(checkpoint.Model, 70 + i, seed: i))];
        var options = CudaModels.Options(stub) with { MaxBatchedTokens = 256, MaxSequences = 3, Deterministic = true };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var together = await ScoredPrompts.RunAsync(engine, prompts, maxTokens: 0);
        for (var i = 0; i < prompts.Length; i++)
        {
            ScoredPrompts.AssertSame((await ScoredPrompts.RunAsync(engine, [prompts[i]], maxTokens: 0))[0], together[i]);
        }
    }

    private LoadedModel Load(RandomCheckpoint checkpoint, int blocks, int depth, bool graphs)
    {
        var options = CudaModels.Options(stub) with { Depth = depth, UseGraphs = graphs, Deterministic = true };
        return ModelLoader.Load(checkpoint.Folder, Running.CrossProduct.Options(checkpoint, options, blocks), null);
    }
}
