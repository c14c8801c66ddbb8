using ModelServe.Engine.Admission;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Every architecture through the GPU's operations, on the stub, against the reference forward pass and against TorchSharp.</summary>
public sealed class CudaForwardPassTests(StubLibrary stub)
{
    private static readonly SamplingOptions WithLogprobs = SamplingOptions.Greedy with { TopLogprobs = 20 };

    public static TheoryData<string> Models => [.. CudaModels.All.Keys];

    [Theory]
    [MemberData(nameof(Models))]
    public void Logprobs_agree_with_the_reference_within_bfloat16(string name)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 37);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt, WithLogprobs);
        driver.Step((0, prompt.Length));
        var logits = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Logits(prompt);
        var max = logits.Max();
        var normaliser = max + Math.Log(logits.Sum(logit => Math.Exp(logit - max)));
        Assert.Equal(20, driver.Result.TopCounts[0]);
        for (var rank = 0; rank < 20; rank++)
        {
            Assert.Equal(logits[driver.Result.TopTokenIds[rank]] - normaliser, driver.Result.TopLogprobs[rank], 1e-1);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Each_greedy_token_is_the_oracle_s_or_a_near_tie_of_it(string name)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], seed: 2, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 21);
        var driver = new PlanDriver(loaded.Executor) { FeedsLastSampled = true };
        driver.Admit(0, prompt);
        var output = driver.Generate(0, 24);
        var reference = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights);
        for (var i = 0; i < output.Count; i++)
        {
            var logits = reference.Logits([.. prompt, .. output[..i]]);
            Assert.InRange(logits.Max() - logits[output[i]], 0, 0.1);
        }
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("qwen3")]
    [InlineData("mistral window")]
    public void Greedy_tokens_part_from_those_of_torch_at_a_near_tie_only(string name)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All[name], seed: 4, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        using var oracle = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 40);
        var (expected, output) = (Greedy(oracle, prompt), Greedy(loaded, prompt));
        var parting = Enumerable.Range(0, output.Count).FirstOrDefault(i => expected[i] != output[i], -1);
        if (parting >= 0)
        {
            var logits = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Logits([.. prompt, .. output[..parting]]);
            Assert.InRange(Math.Abs(logits[expected[parting]] - logits[output[parting]]), 0, 0.1);
        }
    }

    [Fact]
    public void A_cache_of_fp8_gives_the_tokens_of_bfloat16_up_to_near_ties()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["qwen3"], seed: 5, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub) with { KeyValueFormat = KeyValueFormat.Float8 }, null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 21);
        var output = Greedy(loaded, prompt);
        var reference = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights);
        for (var i = 0; i < output.Count; i++)
        {
            var logits = reference.Logits([.. prompt, .. output[..i]]);
            Assert.InRange(logits.Max() - logits[output[i]], 0, 0.5);
        }
    }

    [Theory]
    [InlineData("F32")]
    [InlineData("F16")]
    public void Wider_and_half_checkpoints_are_rounded_to_bfloat16(string type)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama biased"], type: type, shards: 3);
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        using var oracle = ModelLoader.Load(
            checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch) with { Format = WeightFormat.BFloat16 }, null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 30);
        Assert.Equal(Greedy(oracle, prompt)[0], Greedy(loaded, prompt)[0]);
    }

    private static List<int> Greedy(LoadedModel loaded, int[] prompt)
    {
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt);
        return driver.Generate(0, 16);
    }
}
