using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>By hand-made plans: how a sequence is cut into steps, and who shares them, does not change its tokens.</summary>
public sealed class PagedInvarianceTests
{
    public static TheoryData<string, TestedOps> Models()
    {
        var data = new TheoryData<string, TestedOps>();
        foreach (var ops in OpsKinds.All)
        {
            data.Add("llama", ops);
            data.Add("qwen3", ops);
            data.Add("mistral window", ops);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Chunks_of_any_size_give_the_tokens_of_a_full_recompute(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 4);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(ops), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 40);
        var expected = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Greedy(prompt, 10);
        foreach (var chunk in new[] { 1, 3, 7, 15, 16, 17, 31, 40 })
        {
            var driver = new PlanDriver(loaded.Executor, seed: chunk);
            driver.Admit(chunk % 8, prompt);
            Assert.Equal(expected, driver.Generate(chunk % 8, 10, chunk));
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Over_keys_and_values_in_bytes_chunks_of_any_size_give_the_same_tokens(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 4);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(ops) with { KeyValueFormat = KeyValueFormat.Int8 }, null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 40);
        List<int>? expected = null;
        foreach (var chunk in new[] { 40, 1, 7, 16, 31 })
        {
            var driver = new PlanDriver(loaded.Executor, seed: chunk);
            driver.Admit(chunk % 8, prompt);
            var tokens = driver.Generate(chunk % 8, 10, chunk).ToList();
            expected ??= tokens;
            Assert.Equal(expected, tokens);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Batch_mates_and_preemption_change_nothing(string name, TestedOps ops)
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.All[name], seed: 5);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(ops), null);
        var reference = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights);
        var driver = new PlanDriver(loaded.Executor);
        int[] lengths = [3, 16, 25];
        for (var slot = 0; slot < lengths.Length; slot++)
        {
            driver.Admit(slot, ForwardPassTests.Prompt(checkpoint.Model, lengths[slot], seed: slot));
        }

        for (var step = 0; step < 16; step++)
        {
            if (step == 5)
            {
                driver.Preempt(1);
            }

            driver.Step((2, 9), (0, 9), (1, 5));
        }

        for (var slot = 0; slot < lengths.Length; slot++)
        {
            var output = driver.Tokens(slot).Skip(lengths[slot]).ToList();
            Assert.True(output.Count >= 5);
            Assert.Equal(reference.Greedy(driver.Tokens(slot).Take(lengths[slot]).ToArray(), output.Count), output);
        }
    }

    [Fact]
    public void Seeded_draws_do_not_depend_on_batch_mates_or_preemption()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var sampling = new SamplingOptions { Temperature = 1.2f, TopP = 0.95f, Seed = 99, RepetitionPenalty = 1.1f };
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 12);
        var alone = new PlanDriver(loaded.Executor, seed: 1);
        alone.Admit(0, prompt, sampling);
        var expected = alone.Generate(0, 12);

        var shared = new PlanDriver(loaded.Executor, seed: 2);
        shared.Admit(3, prompt, sampling);
        shared.Admit(0, ForwardPassTests.Prompt(checkpoint.Model, 20), sampling with { Seed = 5 });
        for (var step = 0; shared.Tokens(3).Count < prompt.Length + 12; step++)
        {
            if (step == 6)
            {
                shared.Preempt(3);
            }

            shared.Step((0, 8), (3, 8));
        }

        Assert.Equal(expected, shared.Tokens(3).Skip(prompt.Length));
    }

    [Fact]
    public void A_sequence_that_fails_leaves_its_batch_mates_unharmed()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var poison = checkpoint.Weights["model.embed_tokens.weight"];
        Array.Fill(poison, float.NaN, 7 * checkpoint.Model.Hidden, checkpoint.Model.Hidden);
        SafetensorsWriter.Write(
            Path.Combine(checkpoint.Folder, "model.safetensors"),
            checkpoint.Model.Tensors().Select(tensor => (tensor.Name, tensor.Shape, checkpoint.Weights[tensor.Name])),
            "F32");
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        int[] sound = [1, 2, 3];
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, [1, 7, 3]);
        driver.Admit(1, sound);
        driver.Step((0, 9), (1, 9));
        Assert.Equal(StepResult.Failed, driver.Result.TokenIds[0]);
        driver.Leave(0);

        // The freed blocks hold not-a-number; whoever rents them next must not notice.
        driver.Admit(2, sound);
        var expected = new ReferenceDecoder(checkpoint.Model, checkpoint.Weights).Greedy(sound, 4);
        Assert.Equal(expected, driver.Generate(2, 4));
    }

    [Fact]
    public void A_token_outside_the_vocabulary_never_reaches_the_embedding()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var driver = new PlanDriver(loaded.Executor);
        driver.Admit(0, [1, checkpoint.Model.Vocabulary]);
        var failure = Assert.Throws<ExecutorFailedException>(() => driver.Step((0, 9)));
        Assert.Contains("token id: 0..198; got 199", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_last_sampled_token_can_be_fed_without_being_known()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Qwen3);
        using var loaded = ModelLoader.Load(checkpoint.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        var prompt = ForwardPassTests.Prompt(checkpoint.Model, 9);
        var known = new PlanDriver(loaded.Executor);
        known.Admit(0, prompt);
        var expected = known.Generate(0, 8);
        var blind = new PlanDriver(loaded.Executor) { FeedsLastSampled = true };
        blind.Admit(4, prompt);
        Assert.Equal(expected, blind.Generate(4, 8));
    }
}
