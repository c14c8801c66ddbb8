using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Weights on their way to a device, and what keeps a model from being served there.</summary>
public sealed class CudaLoadingTests(StubLibrary stub)
{
    private static readonly int[] Prompt = [1, 2, 3];

    [Theory]
    [InlineData("BF16", 1, 1)]
    [InlineData("BF16", 3, 4)]
    [InlineData("F32", 2, 3)]
    public unsafe void Every_tensor_arrives_with_the_bytes_of_its_file(string type, int shards, int threads)
    {
        stub.SkipIfMissing();
        var model = TinyModel.Llama with { HeadDim = 64, Vocabulary = 9000, Hidden = 256, KvHeads = 4 };
        using var folder = new RandomCheckpoint(model, type: type, shards: shards);
        using var checkpoint = Checkpoint.Open(folder.Folder);
        var map = new WeightMap(ModelConfig.Read(folder.Folder), ElementType.BFloat16, null, ElementType.BFloat16);
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        using var memory = new KernelMemory(device);
        var block = memory.Take(map.Bytes, "weights");
        var progress = new List<LoadProgress>();
        var notes = DeviceWeightReader.Read(checkpoint, map, device, stream, block, threads, new Collector(progress));
        foreach (var slot in map.Slots)
        {
            var values = folder.Weights[slot.Name];
            var stored = new ReadOnlySpan<ushort>(block + slot.Offset, values.Length);
            for (var i = 0; i < values.Length; i++)
            {
                Assert.Equal(BFloat.FromSingle(values[i]), stored[i]);
            }
        }

        Assert.Equal(progress[^1].BytesTotal, progress[^1].BytesRead);
        Assert.Matches(
            @"^weights on the device: [0-9.]+ GB in [0-9.]+ s, [0-9.]+ GB/s; reading and converting [0-9.]+ GB/s a thread, [0-9]+ threads; copying (not timed|[0-9.]+ GB/s); waited [0-9.]+ s for files, [0-9.]+ s for copies$",
            Assert.Single(notes));
    }

    [Fact]
    public async Task A_model_is_ready_with_its_small_graphs_and_captures_a_larger_one_when_it_is_first_needed()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        using var loaded = ModelLoader.Load(checkpoint.Folder, CudaModels.Options(stub) with { MaxSequences = 40 }, null);
        var executor = (CudaStepExecutor)loaded.Executor;
        Assert.Equal(CudaStepExecutor.GraphsAtStart, executor.CapturedRows.Max());
        using var engine = new EngineLoop(executor, new EngineOptions(), TimeProvider.System);
        var streams = Enumerable.Range(0, 20).Select(i => engine.Admit(
            new GenerationRequest { RequestId = $"r{i}", PromptTokenIds = Prompt, MaxTokens = 3 }).Stream!).ToList();
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }

        Assert.Equal(GraphBuckets.For(20), executor.CapturedRows.Max());
        var delta = new TokenDelta();
        foreach (var stream in streams)
        {
            Assert.True(await stream.ReadAsync(delta, TestContext.Current.CancellationToken));
            Assert.Equal(FinishReason.Length, delta.FinishReason);
            stream.Dispose();
        }
    }

    [Fact]
    public void A_model_is_planned_into_what_others_leave_and_a_refusal_names_them()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        var options = CudaModels.Options(stub) with { KvMemoryBytes = null, MaxModelLength = 64 };
        var alone = ModelLoader.Inspect(checkpoint.Folder, options).Plan;
        var beside = ModelLoader.Inspect(checkpoint.Folder, options with { HeldByOthers = [new HeldMemory("chat", 4L << 30)] }).Plan;
        Assert.Equal(alone.BudgetBytes - (4L << 30), beside.BudgetBytes);
        Assert.InRange(beside.TotalBytes, beside.BudgetBytes - beside.BlockBytes, beside.BudgetBytes);
        var granted = ModelLoader.Inspect(checkpoint.Folder, options with { MemoryBytes = 1L << 30 }).Plan;
        Assert.Equal(1L << 30, granted.BudgetBytes);
        var refusal = Assert.Throws<MemoryPlanException>(() => ModelLoader.Inspect(
            checkpoint.Folder, options with { HeldByOthers = [new HeldMemory("chat", 8L << 30), new HeldMemory("code", 6L << 30)] }));
        Assert.Contains("'chat' holds 8,192.0 MiB, 'code' holds 6,144.0 MiB); got weights", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_shrinks_while_it_is_read_is_named_and_everything_is_given_back()
    {
        stub.SkipIfMissing();
        using var folder = new RandomCheckpoint(TinyModel.Llama with { HeadDim = 64, Vocabulary = 9000 }, type: "BF16");
        var path = Path.Combine(folder.Folder, "model.safetensors");
        var cut = new CutWhenReported(path);
        var refusal = Assert.ThrowsAny<ModelLoadException>(
            () => ModelLoader.Load(folder.Folder, CudaModels.Options(stub) with { Threads = 1 }, cut));
        Assert.Contains("model.safetensors", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_observer_that_gives_up_half_way_ends_the_loading()
    {
        stub.SkipIfMissing();
        using var folder = new RandomCheckpoint(TinyModel.Llama with { HeadDim = 64, Vocabulary = 9000 }, type: "BF16");
        Assert.Throws<OperationCanceledException>(() => ModelLoader.Load(folder.Folder, CudaModels.Options(stub), new GivingUp()));
        using var loaded = ModelLoader.Load(folder.Folder, CudaModels.Options(stub), null);
        Assert.Equal(OpsKind.Cuda, loaded.Ops);
    }

    public static TheoryData<string, string> Refusals => new()
    {
        { "library", "needs the library of the GPU kernels; there is no /nowhere/libmodelserve.so" },
        { "not a library", "does not load as a shared library" },
        { "device 7", "device must be 0 on the CPU stub, is 7" },
        { "float32", "dtype: auto or bfloat16 on device cuda; got float32" },
        { "quantised", "quantize: fp8 on device cuda; got int8, which has kernels on cpu only" },
        { "cpu's operations", "ops: auto, cuda or torch on device cuda; got Cpu" },
        { "utilization", "gpu-memory-utilization: more than 0, at most 1; got 1.5" },
        { "blocks", "kv-memory: at least" },
        { "memory", "device memory: at most" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void What_cannot_be_served_on_a_device_is_refused_by_name(string what, string message)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        var options = CudaModels.Options(stub);
        options = what switch
        {
            "library" => options with { KernelLibraryPath = "/nowhere/libmodelserve.so" },
            "not a library" => options with { KernelLibraryPath = Path.Combine(checkpoint.Folder, "config.json") },
            "device 7" => options with { Device = "cuda:7" },
            "float32" => options with { Format = WeightFormat.Float32 },
            "quantised" => options with { Quantization = new WeightQuantization { Format = QuantizedFormat.Int8 } },
            "cpu's operations" => options with { Ops = OpsKind.Cpu },
            "utilization" => options with { GpuMemoryUtilization = 1.5 },
            "blocks" => options with { KvMemoryBytes = 1, MaxModelLength = 64 },
            "memory" => options with { GpuMemoryUtilization = 0.01 },
            _ => options,
        };
        var refusal = Assert.ThrowsAny<ModelLoadException>(() => ModelLoader.Load(checkpoint.Folder, options, null));
        Assert.Contains(message, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_of_fp8_is_refused_on_the_host()
    {
        using var checkpoint = new RandomCheckpoint(TinyModel.Llama);
        var refusal = Assert.Throws<ModelLoadException>(
            () => ModelLoader.Load(checkpoint.Folder, new ModelLoadOptions { KeyValueFormat = KeyValueFormat.Float8 }, null));
        Assert.Contains("kv-dtype: fp8 needs device cuda; got auto", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_of_bytes_is_refused_on_a_GPU()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        var options = CudaModels.Options(stub) with { KeyValueFormat = KeyValueFormat.Int8 };
        var refusal = Assert.Throws<ModelLoadException>(() => ModelLoader.Load(checkpoint.Folder, options, null));
        Assert.Contains("kv-dtype: int8 needs device cpu; got cuda", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_plan_adds_up_and_fp8_halves_a_block()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], type: "BF16");
        var options = CudaModels.Options(stub) with { KvMemoryBytes = null };
        var plan = ModelLoader.Inspect(checkpoint.Folder, options).Plan;
        var narrow = ModelLoader.Inspect(checkpoint.Folder, options with { KeyValueFormat = KeyValueFormat.Float8 }).Plan;
        Assert.Equal(plan.BlockBytes, 2 * narrow.BlockBytes);
        Assert.InRange(plan.TotalBytes, plan.BudgetBytes - plan.BlockBytes, plan.BudgetBytes);
        Assert.Contains("key-value blocks", plan.ToTable(), StringComparison.Ordinal);
        Assert.Contains("on cuda", plan.ToTable(), StringComparison.Ordinal);
    }

    private sealed class Collector(List<LoadProgress> reports) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => reports.Add(value);
    }

    private sealed class CutWhenReported(string path) : IProgress<LoadProgress>
    {
        private bool _cut;

        public void Report(LoadProgress value)
        {
            if (!_cut)
            {
                _cut = true;
                using var file = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                file.SetLength(file.Length / 2);
            }
        }
    }

    private sealed class GivingUp : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => throw new OperationCanceledException();
    }
}
