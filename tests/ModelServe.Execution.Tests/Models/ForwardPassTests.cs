using ModelServe.Engine.Admission;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Models;

/// <summary>Every architecture against the reference forward pass.</summary>
public sealed class ForwardPassTests
{
    private static readonly SamplingOptions WithLogprobs = SamplingOptions.Greedy with { TopLogprobs = 20 };

    public static TheoryData<string, TestedOps> Models()
    {
        var data = new TheoryData<string, TestedOps>();
        foreach (var name in TinyModel.All.Keys)
        {
            foreach (var ops in OpsKinds.All)
            {
                data.Add(name, ops);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Float32_logprobs_agree_with_the_reference(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name]);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(ops), null);
        Compare(checkpoint, loaded, 2e-4);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Greedy_tokens_are_those_of_a_full_recompute(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 2);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(ops), null);
        var prompt = Prompt(checkpoint.Model, 21);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt);
        Assert.Equal(new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Greedy(prompt, 24), driver.Generate(0, 24));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Bfloat16_logprobs_agree_within_the_rounding_of_the_cache(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(ops), null);
        Assert.Equal(ElementType.BFloat16, loaded.Plan.Type);
        Compare(checkpoint, loaded, 6e-2);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Logprobs_over_keys_and_values_in_bytes_agree_within_their_rounding(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name]);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(ops) with { KeyValueFormat = KeyValueFormat.Int8 }, null);
        Assert.Equal(ElementType.Int8, loaded.Plan.CacheType);
        Assert.Contains("in int8", loaded.Plan.ToTable(), StringComparison.Ordinal);
        Compare(checkpoint, loaded, 6e-2);
    }

    [Theory]
    [InlineData("F16")]
    [InlineData("BF16")]
    public void Narrow_checkpoints_widen_exactly_to_float32(string type)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama, type: type, shards: 3);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(TestedOps.Torch) with { Format = WeightFormat.Float32 }, null);
        Compare(checkpoint, loaded, 2e-4);
    }

    [Fact]
    public void A_float32_checkpoint_narrows_to_bfloat16()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3);
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(TestedOps.Torch) with { Format = WeightFormat.BFloat16 }, null);
        Compare(checkpoint, loaded, 1.5e-1);
    }

    internal static ModelLoadOptions Options(TestedOps ops) =>
        new() { Ops = OpsKinds.Kind(ops), CpuKernels = OpsKinds.Kernels(ops), KvMemoryBytes = 8 << 20, MaxSequences = 8, MaxBatchedTokens = 64 };

    internal static int[] Prompt(TinyModel model, int length, int seed = 3)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(model.Vocabulary))];
    }

    private static void Compare(RandomCheckpoint checkpoint, LoadedModel loaded, double tolerance)
    {
        var prompt = Prompt(checkpoint.Model, 37);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt, WithLogprobs);
        driver.Step((0, prompt.Length));
        var logits = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Logits(prompt);
        var max = logits.Max();
        var normaliser = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        for (var rank = 0; rank < 20; rank++)
        {
            var id = driver.Result.TopTokenIds[rank];
            Assert.Equal(logits[id] - normaliser, driver.Result.TopLogprobs[rank], tolerance);
        }
    }
}
