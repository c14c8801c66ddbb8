using ModelServe.Engine.Admission;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Quantization;

/// <summary>Whole models quantised on load: near their reference, in the memory that was planned, and refused or kept wide where they cannot be.</summary>
public sealed class QuantizedLoadingTests
{
    private static readonly SamplingOptions WithLogprobs = SamplingOptions.Greedy with { TopLogprobs = 20 };

    /// <summary>Parts of a fused matrix that end inside a panel, and columns that end inside a group.</summary>
    private static TinyModel Odd { get; } = new() { Hidden = 80, Intermediate = 40, HeadDim = 16, Heads = 3, KvHeads = 1, Vocabulary = 203 };

    /// <summary>Large enough that nothing is mostly padding.</summary>
    private static TinyModel Broad { get; } =
        new() { Hidden = 512, Intermediate = 1024, Heads = 8, KvHeads = 2, HeadDim = 64, Vocabulary = 1500 };

    public static TheoryData<string, QuantizedFormat> Models()
    {
        var data = new TheoryData<string, QuantizedFormat>();
        foreach (var name in TinyModel.All.Keys.Append("odd"))
        {
            data.Add(name, QuantizedFormat.Int8);
            data.Add(name, QuantizedFormat.Int4);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Logprobs_stay_near_the_reference(string name, QuantizedFormat format)
    {
        using var checkpoint = new RandomCheckpoint(name == "odd" ? Odd : TinyModel.All[name]);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(format), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 37);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt, WithLogprobs);
        driver.Step((0, prompt.Length));
        var logits = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Logits(prompt);
        var max = logits.Max();
        var normaliser = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        double squares = 0;
        for (var rank = 0; rank < 20; rank++)
        {
            squares += Math.Pow(logits[driver.Result.TopTokenIds[rank]] - normaliser - driver.Result.TopLogprobs[rank], 2);
        }

        // Logits of these models spread over several nats.
        Assert.InRange(Math.Sqrt(squares / 20), 0, format == QuantizedFormat.Int8 ? 0.1 : 0.9);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8, 24)]
    [InlineData(QuantizedFormat.Int4, 22)]
    public void Tokens_are_near_ties_of_what_the_weights_as_they_are_would_choose(QuantizedFormat format, int least)
    {
        // In 4 bits not all of them: random layers add their rounding up, and nothing in them was trained to bear it. Keys and
        // values are float32, so that it is the weights' rounding alone that is judged.
        using var checkpoint = new RandomCheckpoint(Broad, type: "F32");
        using var quantised = ModelLoader.Load(checkpoint.Folder, Options(format), null);
        using var plain = ModelLoader.Load(checkpoint.Folder, Options(null), null);
        var driver = new PlanDriver(quantised.Executor);
        var prompt = ForwardPassTests.Prompt(Broad, 16);
        driver.Admit(0, prompt);
        driver.Generate(0, 24);
        var tokens = driver.Tokens(0);
        var judge = new PlanDriver(plain.Executor);
        var near = 0;
        for (var length = prompt.Length; length < tokens.Count; length++)
        {
            judge.Admit(0, [.. tokens.Take(length)], WithLogprobs);
            judge.Step((0, length));
            var rank = Array.IndexOf(judge.Result.TopTokenIds, tokens[length], 0, 20);
            near += rank >= 0 && judge.Result.TopLogprobs[0] - judge.Result.TopLogprobs[rank] <= 0.5 ? 1 : 0;
            judge.Leave(0);
        }

        Assert.InRange(near, least, 24);
    }

    [Theory]
    [InlineData(QuantizedFormat.Int8)]
    [InlineData(QuantizedFormat.Int4)]
    public void Native_and_managed_kernels_give_the_same_tokens_and_logprobs(QuantizedFormat format)
    {
        // With keys and values in float32, which no native kernel attends over.
        using var checkpoint = new RandomCheckpoint(Odd, type: "F32");
        var prompt = ForwardPassTests.Prompt(Odd, 21);
        var results = new List<float[]>();
        foreach (var kernels in new[] { CpuKernels.Auto, CpuKernels.Managed })
        {
            // The head too, because an unquantised one is another kernel's.
            using var loaded = ModelLoader.Load(checkpoint.Folder, Options(format) with { CpuKernels = kernels }, null);
            var driver = new PlanDriver(loaded.Executor);
            driver.Admit(0, prompt, WithLogprobs);
            driver.Step((0, prompt.Length));
            results.Add([.. driver.Result.TopLogprobs.Take(20)]);
        }

        Assert.Equal(results[0], results[1]);
    }

    [Fact]
    public void Memory_falls_with_the_bits_and_the_plan_says_so()
    {
        using var checkpoint = new RandomCheckpoint(Broad, type: "BF16");
        var plain = Plan(checkpoint, Options(null));
        var eight = Plan(checkpoint, Options(QuantizedFormat.Int8));
        var four = Plan(checkpoint, Options(QuantizedFormat.Int4, HeadQuantization.Int4));

        // 8 or 4 bits and a quarter for the scales, against 16; the norms' gains stay.
        Assert.InRange((double)eight.WeightBytes / plain.WeightBytes, 8.25 / 16, 8.4 / 16);
        Assert.InRange((double)four.WeightBytes / plain.WeightBytes, 4.25 / 16, 4.4 / 16);
        Assert.Equal(plain.BlockBytes, four.BlockBytes);
        Assert.Contains("int4, head int8, others bfloat16", Plan(checkpoint, Options(QuantizedFormat.Int4)).ToTable(), StringComparison.Ordinal);
        Assert.Contains("int8, head not quantised", Plan(checkpoint, Options(QuantizedFormat.Int8, HeadQuantization.None)).ToTable(), StringComparison.Ordinal);
        Assert.Contains("while loading", four.ToTable(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HeadQuantization.None)]
    [InlineData(HeadQuantization.Int8)]
    [InlineData(HeadQuantization.Int4)]
    public void Any_head_goes_with_any_layers(HeadQuantization head)
    {
        foreach (var tied in new[] { false, true })
        {
            using var checkpoint = new RandomCheckpoint(Odd with { Tied = tied }, type: "F16");
            using var loaded = ModelLoader.Load(checkpoint.Folder, Options(QuantizedFormat.Int8, head), null);
            var driver = new PlanDriver(loaded.Executor);
            driver.Admit(0, ForwardPassTests.Prompt(Odd, 9));
            Assert.Equal(5, driver.Generate(0, 5).Count(token => token >= 0));
        }
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_weight_that_is_no_number_is_refused_with_its_place(float value)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        Rewrite(checkpoint, "model.layers.1.mlp.up_proj.weight", values => values[(5 * 64) + 3] = value);
        var refusal = Assert.Throws<CheckpointException>(() => ModelLoader.Load(checkpoint.Folder, Options(QuantizedFormat.Int4), null));
        Assert.Contains("model.safetensors: model.layers.1.mlp.up_proj.weight", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("row 5, column 3", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_that_loses_too_much_is_stored_more_widely_and_named()
    {
        // One element of each group dwarfs the others, which are just too small for a step of 4 bits.
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        Rewrite(checkpoint, "model.layers.0.self_attn.k_proj.weight", values => Spike(values, 0.05f));
        var options = Options(QuantizedFormat.Int4);
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        Assert.Contains(loaded.Notes, note => note.StartsWith("model.layers.0.self_attn.k_proj.weight is stored in int8", StringComparison.Ordinal));
        Assert.DoesNotContain(loaded.Notes, note => note.StartsWith("model.layers.0.self_attn.q_proj", StringComparison.Ordinal));
        Assert.True(loaded.Plan.WeightBytes > Plan(checkpoint, options).WeightBytes);
    }

    [Fact]
    public void A_tensor_that_loses_too_much_in_8_bits_is_not_quantised()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        Rewrite(checkpoint, "model.layers.1.self_attn.o_proj.weight", values => Spike(values, 0.0037f));
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(QuantizedFormat.Int8), null);
        Assert.Contains(loaded.Notes, note => note.StartsWith("model.layers.1.self_attn.o_proj.weight is not quantised", StringComparison.Ordinal));
    }

    [Fact]
    public void The_torch_operations_are_refused_by_name()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var refusal = Assert.Throws<ModelLoadException>(
            () => ModelLoader.Load(checkpoint.Folder, Options(QuantizedFormat.Int8) with { Ops = OpsKind.Torch }, null));
        Assert.Contains("quantize", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("torch", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Progress_reaches_all_bytes()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3, type: "BF16", shards: 3);
        var last = new LoadProgress("", 0, 0);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(QuantizedFormat.Int8), new Callback(progress => last = progress));
        Assert.True(last.BytesTotal > 0);
        Assert.Equal(last.BytesTotal, last.BytesRead);
    }

    internal static ModelLoadOptions Options(QuantizedFormat? format, HeadQuantization head = HeadQuantization.Auto, string? cache = "none") =>
        ForwardPassTests.Options(TestedOps.Cpu) with
        {
            Quantization = format is { } some ? new WeightQuantization { Format = some, Head = head, CacheDirectory = cache } : null,
        };

    private static MemoryPlan Plan(RandomCheckpoint checkpoint, ModelLoadOptions options) =>
        ModelLoader.Inspect(checkpoint.Folder, options).Plan;

    private static void Spike(float[] values, float small)
    {
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = i % 64 == 0 ? 1 : small;
        }
    }

    private static void Rewrite(RandomCheckpoint checkpoint, string name, Action<float[]> change)
    {
        change(checkpoint.Weights[name]);
        SafetensorsWriter.Write(
            Path.Combine(checkpoint.Folder, "model.safetensors"),
            checkpoint.Model.Tensors().Select(tensor => (tensor.Name, tensor.Shape, checkpoint.Weights[tensor.Name])),
            "F32");
    }

    private sealed class Callback(Action<LoadProgress> report) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => report(value);
    }
}
