using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>A whole decode step, sampling included, leaves nothing for the collector.</summary>
public sealed class DecodeAllocationTests
{
    [Theory]
    [InlineData("F32", TestedOps.Cpu)]
    [InlineData("BF16", TestedOps.Cpu)]
    [InlineData("BF16", TestedOps.Managed)]
    public void A_decode_step_allocates_nothing(string type, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3, type: type);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(ops), null);
        var meter = new AllocationMeter(loaded.Executor);
        var driver = new PlanDriver(meter);
        for (var slot = 0; slot < 3; slot++)
        {
            driver.Admit(slot, ForwardPassTests.Prompt(checkpoint.Model, 9 + slot, seed: slot));
        }

        driver.Step((0, 64), (1, 64), (2, 64));

        // The runtime itself allocates now and then while it compiles a method again; what a step allocates shows in every one.
        Assert.Equal(0, Enumerable.Range(0, 30).Min(_ =>
        {
            driver.Step((0, 1), (1, 1), (2, 1));
            return meter.LastStep;
        }));
    }

    [Theory]
    [InlineData("F32", TestedOps.Cpu)]
    [InlineData("BF16", TestedOps.Managed)]
    public void A_step_that_scores_a_prompt_allocates_nothing(string type, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3, type: type);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(ops), null);
        var meter = new AllocationMeter(loaded.Executor);
        var driver = new PlanDriver(meter);
        Assert.Equal(0, Enumerable.Range(0, 30).Min(_ =>
        {
            driver.Admit(0, ForwardPassTests.Prompt(checkpoint.Model, 40), SamplingOptions.Greedy with { PromptLogprobs = 5 });
            driver.Step((0, 20));
            driver.Step((0, 20));
            driver.Leave(0);
            return meter.LastStep;
        }));
    }

    /// <summary>Counts what the executor allocates on the engine's thread.</summary>
    private sealed class AllocationMeter(IStepExecutor inner) : IStepExecutor
    {
        public long LastStep { get; private set; }

        public ExecutorGeometry Geometry => inner.Geometry;

        public int Depth => inner.Depth;

        public void Submit(StepPlan plan)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            inner.Submit(plan);
            LastStep = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        public StepResult Collect() => inner.Collect();

        public void Dispose()
        {
            // The loaded model owns the executor.
        }
    }
}
