using ModelServe.Engine.Admission;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Running;
using Xunit;

namespace ModelServe.Execution.Tests.Models;

/// <summary>Whole models with weights in 12 bits: what they hold, what they say of it, and that they answer as with 16.</summary>
public sealed class WeightPackingTests
{
    private static readonly SamplingOptions WithLogprobs = SamplingOptions.Greedy with { TopLogprobs = 20 };

    /// <summary>Biases and gains lie between its matrices; its vocabulary and its columns fill the panels.</summary>
    private static TinyModel Broad { get; } =
        new() { Hidden = 512, Intermediate = 1024, Heads = 8, KvHeads = 2, HeadDim = 64, Vocabulary = 1504, QkvBias = true, OutputBias = true, MlpBias = true };

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_model_answers_as_it_does_with_16_bits_and_holds_a_quarter_less(bool tied)
    {
        Needs();
        using var checkpoint = new RandomCheckpoint(Broad with { Tied = tied }, type: "BF16");
        using var packed = ModelLoader.Load(checkpoint.Folder, Options(WeightPacking.Auto), null);
        using var plain = ModelLoader.Load(checkpoint.Folder, Options(WeightPacking.Off), null);
        Assert.Equal(plain.Plan.WeightBytes, packed.Plan.WeightBytes);
        Assert.Equal(plain.Plan.WeightBytes, plain.Plan.HeldWeightBytes);
        Assert.InRange((double)packed.Plan.HeldWeightBytes / plain.Plan.HeldWeightBytes, 0.75, 0.77);
        Assert.Equal(plain.Plan.TotalBytes - packed.Plan.TotalBytes, plain.Plan.WeightBytes - packed.Plan.HeldWeightBytes);
        Assert.Contains("packed without loss from", packed.Plan.ToTable(), StringComparison.Ordinal);
        Assert.DoesNotContain("packed", plain.Plan.ToTable(), StringComparison.Ordinal);
        var prompt = ForwardPassTests.Prompt(Broad, 37);
        var (expectedTokens, expected) = Answer(plain, prompt);
        var (tokens, logprobs) = Answer(packed, prompt);
        Assert.Equal(expectedTokens[0], tokens[0]);
        for (var rank = 0; rank < expected.Length; rank++)
        {
            Assert.Equal(expected[rank], logprobs[rank], 0.02f);
        }
    }

    [Fact]
    public void Unquantised_weights_beside_quantised_ones_are_packed_and_all_still_right()
    {
        // The quantised matrices move too, towards the gap that the embedding and the head leave.
        Needs();
        using var checkpoint = new RandomCheckpoint(Broad, type: "BF16");
        var quantization = new WeightQuantization { Format = QuantizedFormat.Int8, Head = HeadQuantization.None, CacheDirectory = WeightQuantization.NoCache };
        using var packed = ModelLoader.Load(checkpoint.Folder, Options(WeightPacking.Auto) with { Quantization = quantization }, null);
        using var plain = ModelLoader.Load(checkpoint.Folder, Options(WeightPacking.Off) with { Quantization = quantization }, null);
        Assert.True(packed.Plan.HeldWeightBytes < plain.Plan.HeldWeightBytes);
        var prompt = ForwardPassTests.Prompt(Broad, 37);
        Assert.Equal(Answer(plain, prompt).Logprobs[0], Answer(packed, prompt).Logprobs[0], 0.02f);
    }

    [Fact]
    public void Managed_kernels_keep_16_bits()
    {
        using var checkpoint = new RandomCheckpoint(Broad, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, Options(WeightPacking.Auto) with { CpuKernels = CpuKernels.Managed }, null);
        Assert.Equal(loaded.Plan.WeightBytes, loaded.Plan.HeldWeightBytes);
    }

    private static (int[] Tokens, float[] Logprobs) Answer(LoadedModel loaded, int[] prompt)
    {
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, prompt, WithLogprobs);
        driver.Step((0, prompt.Length));
        return ([.. driver.Result.TopTokenIds.Take(20)], [.. driver.Result.TopLogprobs.Take(20)]);
    }

    private static ModelLoadOptions Options(WeightPacking packing) =>
        new() { Ops = OpsKind.Cpu, Threads = 2, WeightPacking = packing, KvMemoryBytes = 8 << 20, MaxSequences = 4, MaxBatchedTokens = 64 };

    private static void Needs() => Assert.SkipUnless(
        NativeCpu.Load().HasFlag(NativeCpuFeatures.Avx512BFloat16), "needs the native CPU library and a processor with AVX-512 BF16");
}
