using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>Small models whose heads the GPU kernels know, and how they are loaded on the stub.</summary>
internal static class CudaModels
{
    public static IReadOnlyDictionary<string, TinyModel> All { get; } = new Dictionary<string, TinyModel>(StringComparer.Ordinal)
    {
        ["llama"] = TinyModel.Llama with { HeadDim = 64 },
        ["llama tied"] = TinyModel.LlamaTied with { HeadDim = 80 },
        ["llama biased"] = TinyModel.LlamaBiased with { HeadDim = 64 },
        ["llama 3"] = TinyModel.Llama3,
        ["llama linear"] = TinyModel.LlamaLinear with { HeadDim = 96 },
        ["mistral window"] = TinyModel.Mistral with { HeadDim = 64 },
        ["qwen2"] = TinyModel.Qwen2 with { HeadDim = 64 },
        ["qwen3"] = TinyModel.Qwen3 with { HeadDim = 128 },
        ["wide heads"] = TinyModel.WideHeads,
    };

    public static ModelLoadOptions Options(StubLibrary stub) => new()
    {
        Device = "cuda",
        KernelLibraryPath = stub.Path,
        KvMemoryBytes = 8 << 20,
        MaxSequences = 8,
        MaxBatchedTokens = 64,
        Threads = 2,
    };
}
