using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>What a device does wrong, and who is told.</summary>
public sealed class CudaFaultTests(StubLibrary stub)
{
    private static readonly int[] LatePrompt = [1];

    private const int PoisonedToken = 7;

    [Fact]
    public async Task Logits_that_are_not_numbers_fail_one_request_and_no_other()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        Poison(checkpoint.Folder);
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var healthy = Admit(engine, "healthy", [1, 2, 3], avoidsPoison: true);
        var poisoned = Admit(engine, "poisoned", [1, 3, PoisonedToken]);
        Finish(engine);
        Assert.Equal((FinishReason.Length, 6), await ReadAsync(healthy));
        Assert.Equal((FinishReason.Error, 0), await ReadAsync(poisoned));

        // The blocks that held the bad keys serve the next one.
        var next = Admit(engine, "next", [4, 5, 6], avoidsPoison: true);
        Finish(engine);
        Assert.Equal((FinishReason.Length, 6), await ReadAsync(next));
        Assert.Null(engine.Status.Failure);
    }

    [Fact]
    public async Task A_lost_device_ends_every_stream_once_and_the_engine_with_it()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var first = Admit(engine, "first", [1, 2, 3]);
        var second = Admit(engine, "second", [4, 5]);
        StubFaults.LoseDevice(((CudaStepExecutor)loaded.Executor).Device, waits: 3);
        Finish(engine);
        Assert.Equal((FinishReason.Error, 2), await ReadAsync(first));
        Assert.Equal((FinishReason.Error, 2), await ReadAsync(second));
        Assert.Contains("injected fault", engine.Status.Failure, StringComparison.Ordinal);
        var late = engine.Admit(new GenerationRequest { RequestId = "late", PromptTokenIds = LatePrompt, MaxTokens = 1 });
        Assert.False(late.IsAccepted(out _, out _));
    }

    [Fact]
    public unsafe void What_a_lost_device_held_is_given_back_without_a_word()
    {
        stub.SkipIfMissing();
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        var (block, pinned) = ((nint)device.Allocate(64), (nint)device.AllocatePinned(64));
        StubFaults.LoseDevice(device, waits: 1);
        Assert.Throws<KernelException>(stream.Synchronize);
        Assert.Throws<KernelException>(() => { _ = device.Allocate(64); });
        device.Free((void*)block);
        device.FreePinned((void*)pinned);
    }

    [Fact]
    public unsafe void Memory_that_is_not_there_is_told_with_its_numbers()
    {
        stub.SkipIfMissing();
        using var device = new KernelDevice(0);
        using var memory = new KernelMemory(device);
        memory.Take(1024, "the first block");
        StubFaults.Exhaust(device, allocations: 1);
        var refusal = Assert.Throws<MemoryPlanException>(() => { memory.Take(3 << 20, "key-value blocks"); });

        // Other tests hold some of the same device.
        Assert.Matches("^device memory: key-value blocks needs 3\\.0 MiB; 16,3[0-9]{2}\\.[0-9] of 16,384\\.0 MiB are free$", refusal.Message);
    }

    [Fact]
    public void A_step_with_a_token_outside_the_vocabulary_is_refused_before_it_is_launched()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub), null);
        var plan = new StepPlan(loaded.Plan.Geometry) { SequenceCount = 1, TokenCount = 1 };
        plan.TokenStarts[1] = 1;
        plan.TokenIds[0] = 199;
        var refusal = Assert.Throws<ExecutorFailedException>(() => loaded.Executor.Submit(plan));
        Assert.Contains("token id: 0..198; got 199", refusal.Message, StringComparison.Ordinal);
    }

    private static void Poison(string folder)
    {
        using var checkpoint = Checkpoint.Open(folder);
        var table = checkpoint.Tensors["model.embed_tokens.weight"];
        using var file = new FileStream(Path.Combine(folder, "model.safetensors"), FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        file.Seek(table.Offset + ((long)PoisonedToken * table.Shape[1] * 2), SeekOrigin.Begin);
        file.Write([0xC0, 0x7F]);
    }

    private static RequestStream Admit(EngineLoop engine, string id, int[] prompt, bool avoidsPoison = false)
    {
        // Nobody writes the poisoned token by himself: who does so fails as rightly as who was given it.
        var sampling = SamplingOptions.Greedy with { LogitBias = avoidsPoison ? [new LogitBias(PoisonedToken, -100)] : [] };
        var admission = engine.Admit(new GenerationRequest { RequestId = id, PromptTokenIds = prompt, MaxTokens = 6, Sampling = sampling });
        Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
        return (RequestStream)stream;
    }

    private static void Finish(EngineLoop engine)
    {
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }
    }

    private static async Task<(FinishReason Reason, int Tokens)> ReadAsync(RequestStream stream)
    {
        using (stream)
        {
            var delta = new TokenDelta();
            var (reason, tokens) = (FinishReason.None, 0);
            while (await stream.ReadAsync(delta, TestContext.Current.CancellationToken))
            {
                tokens += delta.TokenIds.Count;
                reason = delta.FinishReason;
            }

            return (reason, tokens);
        }
    }
}
