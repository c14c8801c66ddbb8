using ModelServe.Execution.Cuda;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>How many kernels a layer takes: what the products do on the way needs no launch of its own.</summary>
public sealed class CudaFusionTests(StubLibrary stub)
{
    [Theory]
    [InlineData(1, 6)] // norm + qkv, rotation and store, attention, output + residual, norm + gate and up + silu, down + residual
    [InlineData(16, 6)]
    [InlineData(17, 8)] // the norms apart: from here on every block of the product would repeat them
    [InlineData(64, 8)]
    [InlineData(65, 9)] // cuBLASLt: the gate apart too
    public void A_layer_is_so_many_launches(int tokens, int launches) =>
        Assert.Equal(launches, LaunchesOfALayer(tokens, null));

    [Theory]
    [InlineData(1, 6)]
    [InlineData(64, 8)]
    [InlineData(65, 11)] // what attention and the gate give is quantised first; the norms quantise what they give
    public void A_layer_in_fp8_is_so_many_launches(int tokens, int launches) =>
        Assert.Equal(launches, LaunchesOfALayer(tokens, new WeightQuantization { Format = QuantizedFormat.Float8 }));

    [Fact]
    public void A_step_outside_its_layers_is_four_launches_and_the_sampling()
    {
        // Prologue, embedding, gathered rows, norm + head; then the sampler.
        Assert.Equal(5, Launches(TinyModel.Llama with { HeadDim = 64 }, 1, null) - (2 * LaunchesOfALayer(1, null)));
    }

    private long LaunchesOfALayer(int tokens, WeightQuantization? quantization)
    {
        var model = TinyModel.Llama with { HeadDim = 64 };
        return (Launches(model with { Layers = 3 }, tokens, quantization) - Launches(model, tokens, quantization)) / (3 - model.Layers);
    }

    /// <summary>Launches of a step that feeds so many tokens of one sequence.</summary>
    private long Launches(TinyModel model, int tokens, WeightQuantization? quantization)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(model, type: "BF16");
        var options = CudaModels.Options(stub) with { MaxBatchedTokens = 96, Quantization = quantization };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        var device = ((CudaStepExecutor)loaded.Executor).Device;
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, ForwardPassTests.Prompt(model, tokens));
        var before = StubFaults.Launches(device);
        driver.Step((0, tokens));
        return StubFaults.Launches(device) - before;
    }
}
