using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Weights that become fp8 on their way to a device.</summary>
public sealed class CudaFloat8Tests(StubLibrary stub)
{
    private static readonly WeightQuantization Float8 = new() { Format = QuantizedFormat.Float8 };

    [Theory]
    [InlineData("BF16", 1, 1)]
    [InlineData("F32", 3, 3)]
    [InlineData("F16", 2, 2)]
    public unsafe void Every_row_of_a_layer_arrives_with_its_scale(string type, int shards, int threads)
    {
        stub.SkipIfMissing();
        var model = TinyModel.LlamaBiased with { HeadDim = 64, Intermediate = 608, Hidden = 256, KvHeads = 4 };
        using var folder = new RandomCheckpoint(model, type: type, shards: shards);
        using var checkpoint = Checkpoint.Open(folder.Folder);
        var map = CudaMemoryPlan.MapOf(ModelConfig.Read(folder.Folder), CudaModels.Options(stub) with { Quantization = Float8 });
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        using var memory = new KernelMemory(device);
        var block = memory.Take(map.Bytes, "weights");
        _ = DeviceWeightReader.Read(checkpoint, map, device, stream, block, threads, null);
        var quantised = 0;
        foreach (var slot in map.Slots)
        {
            var values = Array.ConvertAll(folder.Weights[slot.Name], value => BFloat.ToSingle(BFloat.FromSingle(value)));
            if (slot.Scales is not { } scales)
            {
                Assert.Equal(values, new ReadOnlySpan<ushort>(block + slot.Offset, values.Length).ToArray().Select(BFloat.ToSingle));
                continue;
            }

            quantised++;
            for (var row = 0; row < slot.Rows; row++)
            {
                var columns = slot.Columns!.Value;
                var scale = ((float*)(block + scales))[row];
                var source = values.AsSpan(row * columns, columns);
                Assert.Equal(Float8Numbers.Scale(source), scale, 1e-9f);
                for (var i = 0; i < columns; i++)
                {
                    var stored = Float8Numbers.ToSingle((block + slot.Offset)[(row * columns) + i]) * scale;
                    Assert.InRange(Math.Abs(stored - source[i]), 0, Math.Max(Math.Abs(source[i]) / 15, scale / 500));
                }
            }
        }

        Assert.Equal(7 * model.Layers, quantised);
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("llama tied")]
    [InlineData("llama biased")]
    [InlineData("qwen3")]
    [InlineData("mistral window")]
    public void Tokens_are_those_of_the_rounded_weights_up_to_near_ties(string name)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], seed: 3, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub) with { Quantization = Float8 }, null);
        var rounded = checkpoint.Weights.ToDictionary(
            pair => pair.Key,
            pair => pair.Key.Contains("_proj.weight", StringComparison.Ordinal) ? Float8Numbers.Rounded(pair.Value, Columns(checkpoint.Model, pair.Key)) : pair.Value);
        var reference = new ReferenceDecoder(checkpoint.Model, rounded);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 21);
        var driver = new PlanDriver(loaded.Executor) { FeedsLastSampled = true };
        driver.Admit(0, prompt);
        var output = driver.Generate(0, 16);
        for (var i = 0; i < output.Count; i++)
        {
            var logits = reference.Logits([.. prompt, .. output[..i]]);
            Assert.InRange(logits.Max() - logits[output[i]], 0, 0.1);
        }
    }

    [Fact]
    public void A_prompt_of_many_tokens_is_multiplied_in_fp8_on_both_sides()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        using var loaded = ModelLoader.Load(
            checkpoint.Folder, CudaModels.Options(stub) with { Quantization = Float8, MaxBatchedTokens = 128 }, null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 100);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt);
        driver.Step((0, 100));
        var logits = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Logits(prompt);
        Assert.InRange(logits.Max() - logits[driver.LastToken(0)], 0, 0.5);
    }

    [Fact]
    public void The_plan_counts_what_fp8_saves_and_what_it_needs()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama with { HeadDim = 64, Hidden = 256, Intermediate = 1024 }, type: "BF16");
        var options = CudaModels.Options(stub);
        var wide = ModelLoader.Inspect(checkpoint.Folder, options).Plan;
        var narrow = ModelLoader.Inspect(checkpoint.Folder, options with { Quantization = Float8 }).Plan;
        var elements = checkpoint.Weights.Where(pair => pair.Key.Contains("_proj.weight", StringComparison.Ordinal)).Sum(pair => pair.Value.Length);
        Assert.InRange(wide.WeightBytes - narrow.WeightBytes, (long)(0.95 * elements), elements);
        Assert.Equal(DeviceProducts.QuantisedBytes(64, 1024), narrow.WorkspaceBytes - wide.WorkspaceBytes);
        Assert.Contains("fp8, others bfloat16", narrow.ToTable(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_weight_that_is_no_number_is_named()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        var path = Path.Combine(checkpoint.Folder, "model.safetensors");
        using (var opened = Checkpoint.Open(checkpoint.Folder))
        {
            var tensor = opened.Tensors["model.layers.1.mlp.up_proj.weight"];
            using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            file.Seek(tensor.Offset + (2 * ((3 * 64) + 5)), SeekOrigin.Begin);
            file.Write([0xC0, 0x7F]);
        }

        var refusal = Assert.ThrowsAny<ModelLoadException>(
            () => ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub) with { Quantization = Float8 }, null));
        Assert.Contains("model.layers.1.mlp.up_proj.weight", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("NaN in row 3, column 5", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("int8", "quantize: fp8 on device cuda; got int8, which has kernels on cpu only")]
    [InlineData("head", "quantize-head: auto or none on device cuda, where the head stays bfloat16; got Int8")]
    [InlineData("columns", "intermediate_size must be a multiple of 32 for weights in fp8; is 104")]
    [InlineData("cpu", "quantize: fp8 needs device cuda, and int8 is as narrow on cpu; got device cpu")]
    public void What_cannot_be_quantised_is_refused_by_name(string what, string message)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"] with { Intermediate = what == "columns" ? 104 : 96 }, type: "BF16");
        var options = CudaModels.Options(stub) with
        {
            Device = what == "cpu" ? "cpu" : "cuda",
            Quantization = what switch
            {
                "int8" => new WeightQuantization { Format = QuantizedFormat.Int8 },
                "head" => Float8 with { Head = HeadQuantization.Int8 },
                _ => Float8,
            },
        };
        var refusal = Assert.ThrowsAny<ModelLoadException>(() => ModelLoader.Load(checkpoint.Folder, options, null));
        Assert.Contains(message, refusal.Message, StringComparison.Ordinal);
        Assert.ThrowsAny<ModelLoadException>(() => ModelLoader.Inspect(checkpoint.Folder, options));
    }

    private static int Columns(TinyModel model, string tensor) =>
        tensor.Contains("o_proj", StringComparison.Ordinal) ? model.Heads * model.HeadDim
        : tensor.Contains("down_proj", StringComparison.Ordinal) ? model.Intermediate
        : model.Hidden;
}
