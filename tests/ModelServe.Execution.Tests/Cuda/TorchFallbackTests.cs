using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Models that no GPU kernel covers, served by libtorch on the device; here the device's stand-in has the host's memory.</summary>
public sealed class TorchFallbackTests(StubLibrary stub)
{
    [Theory]
    [InlineData("head size", "no kernel for head_dim 16, only for 32, 64, 80, 96, 128, 192, 256")]
    [InlineData("group", "no kernel for 20 query heads a key/value head, only for up to 16")]
    [InlineData("hidden", "no kernel for hidden_size 36, only for multiples of 8 up to 16384")]
    [InlineData("features", "no kernel for intermediate_size 100, only for multiples of 8")]
    [InlineData("asked", "libtorch computes, as asked for")]
    public void A_model_without_kernels_gives_the_reference_s_tokens(string what, string reason)
    {
        stub.SkipIfMissing();
        var model = what switch
        {
            "head size" => TinyModel.Qwen3 with { HeadDim = 16 },
            "group" => TinyModel.Llama with { HeadDim = 32, Heads = 20, KvHeads = 1 },
            "hidden" => TinyModel.Llama with { HeadDim = 32, Hidden = 36 },
            "features" => TinyModel.Llama with { HeadDim = 32, Intermediate = 100 },
            _ => TinyModel.Llama with { HeadDim = 32 },
        };
        using var checkpoint = new RandomCheckpoint(model, type: "BF16");
        var options = CudaModels.Options(stub) with { Ops = what == "asked" ? OpsKind.Torch : OpsKind.Auto };
        Assert.Equal(0, ModelLoader.Inspect(checkpoint.Folder, options).Plan.GraphBytes);
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        Assert.Equal(OpsKind.Torch, loaded.Ops);
        Assert.Equal("cuda", loaded.Plan.Device);
        Assert.StartsWith(reason, Assert.Single(loaded.Notes), StringComparison.Ordinal);
        var prompt = ForwardPassTests.Prompt(model, 21);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt);
        var output = driver.Generate(0, 12, chunk: 9);
        var reference = new ReferenceDecoder(model, checkpoint.Weights);
        for (var i = 0; i < output.Count; i++)
        {
            var logits = reference.Logits([.. prompt, .. output[..i]]);
            Assert.InRange(logits.Max() - logits[output[i]], 0, 0.1);
        }
    }

    [Fact]
    public void Logits_that_lie_elsewhere_are_brought_row_by_row()
    {
        NativeTorch.EnsureLoaded();
        using var memory = new TorchMemory(TorchPlace.Host);
        unsafe
        {
            var place = memory.Take(3 * 5 * sizeof(float), "logits");
            Assert.Equal(0, (long)place % 256);
            var device = new Activation((float*)place, 3, 5);
            using var host = new HostLogits(memory, device);
            float[] values = [.. Enumerable.Range(0, 15).Select(i => i / 4f)];
            fixed (float* source = values)
            {
                memory.CopyIn(place, (byte*)source, 15 * sizeof(float));
            }

            var brought = host.Bring(device, 2);
            Assert.NotEqual((nint)device.Data, (nint)brought.Data);
            Assert.Equal(values[5..10], brought.Row(1).ToArray());
        }
    }

    [Theory]
    [InlineData("fp8 cache", "kv-dtype: auto or bf16 where libtorch computes; got fp8 on cpu")]
    [InlineData("fp8 weights", "quantize: none where libtorch computes; got fp8 on cpu")]
    [InlineData("float32", "dtype: auto or bfloat16 on device cuda; got float32")]
    [InlineData("memory", "memory: at most")]
    public void What_libtorch_cannot_serve_there_is_refused_by_name(string what, string message)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama, type: "BF16");
        var options = CudaModels.Options(stub);
        options = what switch
        {
            "fp8 cache" => options with { KeyValueFormat = KeyValueFormat.Float8 },
            "fp8 weights" => options with { Quantization = new WeightQuantization { Format = QuantizedFormat.Float8 } },
            "float32" => options with { Format = WeightFormat.Float32 },
            _ => options with { KvMemoryBytes = 1L << 40 },
        };
        var refusal = Assert.ThrowsAny<ModelLoadException>(() => ModelLoader.Load(checkpoint.Folder, options, null));
        Assert.Contains(message, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_libtorch_without_CUDA_says_so_instead_of_searching()
    {
        Assert.SkipWhen(File.Exists(Path.Combine(NativeTorch.EnsureLoaded(), "libtorch_cuda.so")), "this libtorch is built for CUDA");
        Assert.False(NativeTorch.HasCuda());
    }
}
