using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>What a step costs, and what it does to rows that are not plain.</summary>
public sealed class CudaStepTests(StubLibrary stub)
{
    private static readonly int[] CountingPrompt = [4, 8];

    [Theory]
    [InlineData(8)]
    [InlineData(16)]
    public void A_decode_step_of_256_rows_brings_less_than_20_KB(int kvHeads)
    {
        // An H200 has 132 multiprocessors.
        var work = new DecodeWorkPlanner(256, 32_768, kvHeads, 132, deterministic: false);
        Assert.InRange(new StepImage(256, 256, 256, work.MaxItems, 0).Bytes, 1, 20_000);
    }

    [Fact]
    public void A_decode_step_brings_its_graph_s_image_and_no_more()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var executor = (CudaStepExecutor)loaded.Executor;
        var driver = new PlanDriver(executor) { FeedsLastSampled = true };
        driver.Admit(0, [1, 2, 3]);
        driver.Step((0, 3));
        Assert.Equal(0, executor.GraphSteps);
        driver.Step((0, 1));
        Assert.Equal(1, executor.GraphSteps);
        Assert.InRange(executor.LastUploadBytes, 1, 512);
    }

    [Fact]
    public void A_step_allocates_nothing()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["qwen3"], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var plan = new StepPlan(loaded.Plan.Geometry);
        Prefill(plan, loaded.Executor);
        for (var position = 5; position < 9; position++)
        {
            Decode(plan, loaded.Executor, position);
        }

        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 17).Min(round => Allocated(9 + (3 * round))));

        long Allocated(int first)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var position = first; position < first + 3; position++)
            {
                Decode(plan, loaded.Executor, position);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Biases_penalties_and_least_tokens_give_the_tokens_of_the_host_s_sampler()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama 3"], seed: 9, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        using var oracle = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 19);
        var sampling = SamplingOptions.Greedy with
        {
            RepetitionPenalty = 1.8f,
            FrequencyPenalty = 0.7f,
            PresencePenalty = 0.6f,
            MinTokens = 3,
            StopTokenIds = [5, 6],
            LogitBias = [new LogitBias(5, 40), new LogitBias(17, 3)],
            TopLogprobs = 2,
        };
        var (expected, device) = (new PlanDriver(oracle.Executor), new PlanDriver(loaded.Executor));
        expected.Admit(2, prompt, sampling);
        device.Admit(2, prompt, sampling);
        var output = device.Generate(2, 12);
        Assert.Equal(expected.Generate(2, 12), output);
        Assert.Equal(5, output[3]);
        Assert.Equal(expected.Result.Logprobs[0], device.Result.Logprobs[0], 0.1f);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_constraint_holds_one_step_ahead_too(int depth)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 3, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub) with { Depth = depth }, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var admission = engine.Admit(new GenerationRequest
        {
            RequestId = "counting",
            PromptTokenIds = CountingPrompt,
            MaxTokens = 9,
            Sampling = SamplingOptions.Greedy with { Constraint = new Counting() },
        });
        Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }

        using (stream)
        {
            var delta = new TokenDelta();
            Assert.True(await stream.ReadAsync(delta, TestContext.Current.CancellationToken));
            Assert.Equal([10, 11, 12, 13, 14, 15, 16, 17, 18], delta.TokenIds);
        }
    }

    [Fact]
    public void A_seeded_draw_is_the_same_beside_batch_mates()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 3, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var sampling = SamplingOptions.Greedy with { Temperature = 1.3f, TopP = 0.9f, TopK = 40, Seed = 77 };
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, [4, 8, 15], sampling);
        var alone = driver.Generate(0, 8);
        driver.Leave(0);
        driver.Admit(1, [4, 8, 15], sampling);
        driver.Admit(0, [9, 9], sampling with { Seed = 1 });
        for (var i = 0; i < 8; i++)
        {
            driver.Step((0, 64), (1, 64));
        }

        Assert.Equal(alone, driver.Tokens(1).Skip(3));
    }

    [Fact]
    public void A_block_table_too_long_for_one_image_goes_ahead_in_several()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var geometry = loaded.Plan.Geometry;
        var mirror = new BlockTableMirror(geometry);
        var order = new StepOrder(geometry);
        var plan = new StepPlan(geometry) { SequenceCount = 1, TokenCount = 1 };
        plan.TokenStarts[1] = 1;
        plan.FirstPositions[0] = 79;
        for (var i = 0; i < 5; i++)
        {
            plan.BlockTables[i] = 10 + i;
        }

        order.Arrange(plan);
        var writer = new StepWriter(geometry, 16, 0, mirror, [.. Enumerable.Range(0, 8).Select(_ => new ModelServe.Execution.Sampling.SlotSampling())]);
        var layout = new StepImage(8, 64, deltas: 3, 8, 8);
        Assert.Equal(5, writer.Deltas(plan, order));
        Assert.Equal([10, 11, 12], Blocks(writer, plan, order, layout));
        Assert.Equal(2, writer.Deltas(plan, order));
        Assert.Equal([13, 14], Blocks(writer, plan, order, layout));
    }

    /// <summary>Allows token 10 + n as the nth: what comes next depends on everything before.</summary>
    private sealed class Counting : ITokenConstraint
    {
        public ITokenConstraintFollower Follow() => new Follower();

        private sealed class Follower : ITokenConstraintFollower
        {
            private int _next = 10;

            public string? Failure => null;

            public bool FillMask(Span<uint> allowed)
            {
                allowed.Clear();
                allowed[_next / 32] = 1u << (_next % 32);
                return true;
            }

            public void Follow(ReadOnlySpan<int> tokenIds)
            {
                foreach (var id in tokenIds)
                {
                    _next = id == _next ? _next + 1 : 0;
                }
            }

            public bool TryFollow(int tokenId) => false;
        }
    }

    private static unsafe int[] Blocks(StepWriter writer, StepPlan plan, StepOrder order, StepImage layout)
    {
        var image = new byte[layout.Bytes];
        fixed (byte* start = image)
        {
            writer.WriteDeltas(plan, order, layout, start);
            return new Span<int>(start + layout.DeltaBlocks, ((int*)start)[2]).ToArray();
        }
    }

    private static void Prefill(StepPlan plan, IStepExecutor executor)
    {
        for (var slot = 0; slot < 3; slot++)
        {
            plan.NewSlots[slot] = new SlotAssignment(slot, SamplingOptions.Greedy, default, 0);
            plan.Slots[slot] = slot;
            plan.Samples[slot] = true;
            plan.TokenStarts[slot + 1] = 5 * (slot + 1);
            for (var block = 0; block < 5; block++)
            {
                plan.BlockTables[(slot * plan.BlockTableStride) + block] = (slot * 5) + block + 1;
            }
        }

        (plan.NewSlotCount, plan.SequenceCount, plan.TokenCount) = (3, 3, 15);
        executor.Submit(plan);
        executor.Collect();
        plan.NewSlotCount = 0;
    }

    private static void Decode(StepPlan plan, IStepExecutor executor, int position)
    {
        plan.TokenCount = 3;
        for (var row = 0; row < 3; row++)
        {
            plan.FirstPositions[row] = position;
            plan.TokenStarts[row + 1] = row + 1;
            plan.TokenIds[row] = StepPlan.LastSampledToken;
        }

        executor.Submit(plan);
        executor.Collect();
    }
}
