using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using TorchSharp;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Steps leave nothing behind.</summary>
[Collection(nameof(LiveTensorTests))]
[CollectionDefinition(nameof(LiveTensorTests), DisableParallelization = true)]
public sealed class LiveTensorTests
{
    [Fact]
    public void A_thousand_steps_leave_as_many_tensors_as_one()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3 with { Layers = 1, MaxPositions = 1100 });
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, ForwardPassTests.Prompt(checkpoint.Model, 5));
        driver.Generate(0, 1);
        var before = torch.Tensor.TotalCount;
        driver.Generate(0, 1001);
        Assert.Equal(before, torch.Tensor.TotalCount);
    }
}
