using System.Globalization;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Native;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cuda;

/// <summary>Turns an open checkpoint into a model that runs on a GPU.</summary>
/// <remarks>
/// Everything is checked before the first weight is read: the library, the device, the kernels' limits, names, shapes, memory.
/// Weights and blocks are bfloat16 whatever the checkpoint holds. libtorch is not needed, but for models whose shapes have no kernel.
/// </remarks>
internal static class CudaModelLoader
{
    private const string LibraryName = "libmodelserve.so";
    private const int MaxGroup = 16;
    private static readonly int[] HeadDims = [32, 64, 80, 96, 128, 192, 256];

    /// <summary>Plans the memory without loading a weight.</summary>
    /// <exception cref="ModelLoadException">The model cannot be served on the device.</exception>
    public static MemoryPlan Plan(ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options)
    {
        using var device = Open(options);
        return Fallback(config, options, device) is { } fallback
            ? TorchModelLoader.Plan(config, checkpoint, options, fallback.Place, Budget(options, device)).Plan
            : Plan(config, checkpoint, options, device).Plan;
    }

    /// <summary>Loads a model.</summary>
    /// <exception cref="ModelLoadException">The model cannot be served on the device, or a file cannot be read.</exception>
    public static LoadedModel Load(
        string directory, ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options, IProgress<LoadProgress>? progress)
    {
        KernelDevice? device = Open(options);
        KernelMemory? memory = new(device);
        CudaResources? resources = null;
        try
        {
            if (Fallback(config, options, device) is { } fallback)
            {
                return TorchModelLoader.Load(config, checkpoint, options, fallback.Place, Budget(options, device), fallback.Reason, progress);
            }

            var (plan, map) = Plan(config, checkpoint, options, device);
            var info = device.Info();
            resources = new CudaResources(config, plan, map, device, memory, options.Deterministic);
            (device, memory) = (null, null);
            List<string> notes = [.. DeviceWeightReader.Read(checkpoint, map, resources, options.Threads ?? Environment.ProcessorCount, progress)];
            if (!options.Deterministic && (options.TuneProducts ?? info.IsEmulated == 0))
            {
                notes.Add(resources.Tune(TuningCache.Open(options.CacheDirectory, directory, info, notes.Add)));
            }

            var executor = new CudaStepExecutor(resources, options.Depth, options.UseGraphs, options.Report);
            var model = new LoadedModel(config, plan, OpsKind.Cuda, Describe(info), notes, executor, resources);
            resources = null;
            return model;
        }
        catch (KernelException exception)
        {
            throw new ModelLoadException($"device {options.Device}: {exception.Message}", exception);
        }
        finally
        {
            resources?.Dispose();
            memory?.Dispose();
            device?.Dispose();
        }
    }

    private static (MemoryPlan Plan, WeightMap Map) Plan(ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options, KernelDevice device)
    {
        var map = CudaMemoryPlan.MapOf(config, options);
        map.Check(checkpoint.Tensors);
        return (CudaMemoryPlan.Make(config, options, device.Info(), options.Device), map);
    }

    /// <summary>Where libtorch serves the model instead of the kernels, and why; null where the kernels do.</summary>
    private static (TorchPlace Place, string Reason)? Fallback(ModelConfig config, ModelLoadOptions options, KernelDevice device)
    {
        var reason = options.Ops == OpsKind.Torch ? "libtorch computes, as asked for" : MissingKernel(config);
        if (reason is null)
        {
            RequireKernels(config, options);
            return null;
        }

        RequireSettings(options);

        // A stand-in of a device has the host's memory, where libtorch computes without CUDA: the same way, to be tested.
        if (device.Info().IsEmulated != 0)
        {
            return (TorchPlace.Host, Slower(reason));
        }

        return NativeTorch.HasCuda()
            ? (new TorchPlace(TorchSharp.DeviceType.CUDA, Ordinal(options.Device)), Slower(reason))
            : throw new ModelLoadException(
                $"device {options.Device}: {reason}; libtorch for CUDA, which would serve it more slowly, is not here (build with -p:Accelerator=cuda, or set TORCH_LIB_DIR)");

        static string Slower(string reason) => $"{reason}: libtorch computes every operation, more slowly than kernels would";
    }

    private static long Budget(ModelLoadOptions options, KernelDevice device) => CudaMemoryPlan.BudgetOf(options, device.Info());

    private static KernelDevice Open(ModelLoadOptions options)
    {
        // The system's loader looks for a bare name elsewhere than File.Exists.
        var path = Path.GetFullPath(options.KernelLibraryPath ?? Path.Combine(AppContext.BaseDirectory, LibraryName));
        if (!File.Exists(path))
        {
            throw new ModelLoadException($"device {options.Device}: needs the library of the GPU kernels; there is no {path}");
        }

        try
        {
            KernelLibrary.Load(path);
            return new KernelDevice(Ordinal(options.Device));
        }
        catch (KernelException exception)
        {
            throw new ModelLoadException($"device {options.Device}: {exception.Message}", exception);
        }
    }

    private static string Describe(DeviceInfo info) =>
        info.IsEmulated != 0
            ? "the native library's stand-in on the CPU, for tests"
            : $"the native library's, sm_{info.ComputeMajor}{info.ComputeMinor}, {info.SmCount} multiprocessors, {(info.HasCublaslt != 0 ? "cuBLASLt for wide products" : "no cuBLASLt")}";

    /// <summary>What no kernel was built for, by name; null if there is none such.</summary>
    private static string? MissingKernel(ModelConfig config)
    {
        var group = config.QueryHeads / config.KeyValueHeads;
        return !HeadDims.Contains(config.HeadDim) ? $"no kernel for head_dim {config.HeadDim}, only for {string.Join(", ", HeadDims)}"
            : group > MaxGroup ? $"no kernel for {group} query heads a key/value head, only for up to {MaxGroup}"
            : config.HiddenSize % 8 != 0 || config.HiddenSize > 16384 ? $"no kernel for hidden_size {config.HiddenSize}, only for multiples of 8 up to 16384"
            : config.IntermediateSize % 8 != 0 ? $"no kernel for intermediate_size {config.IntermediateSize}, only for multiples of 8"
            : null;
    }

    private static void RequireSettings(ModelLoadOptions options)
    {
        if (options.Ops == OpsKind.Cpu)
        {
            throw new ModelLoadException($"ops: auto, cuda or torch on device {options.Device}; got {options.Ops}");
        }

        if (options.Format == WeightFormat.Float32)
        {
            throw new ModelLoadException($"dtype: auto or bfloat16 on device {options.Device}; got float32");
        }
    }

    private static void RequireKernels(ModelConfig config, ModelLoadOptions options)
    {
        RequireSettings(options);
        if (options.Quantization is { } asked)
        {
            RequireFloat8(config, asked, options.Device);
        }
    }

    private static void RequireFloat8(ModelConfig config, WeightQuantization asked, string device)
    {
        if (asked.Format != QuantizedFormat.Float8)
        {
            throw new ModelLoadException($"quantize: fp8 on device {device}; got {asked.Format.Name()}, which has kernels on cpu only");
        }

        if (asked.Head is not (HeadQuantization.Auto or HeadQuantization.None))
        {
            throw new ModelLoadException($"quantize-head: auto or none on device {device}, where the head stays bfloat16; got {asked.Head}");
        }

        foreach (var (field, columns) in new[]
                 {
                     ("hidden_size", config.HiddenSize),
                     ("intermediate_size", config.IntermediateSize),
                     ("num_attention_heads * head_dim", config.Attention.QueryColumns),
                 })
        {
            Require(columns % ProductShape.NarrowColumns == 0, field, $"a multiple of {ProductShape.NarrowColumns} for weights in fp8", columns);
        }
    }

    private static void Require(bool holds, string field, string limit, int value)
    {
        if (!holds)
        {
            throw new ModelLoadException($"device cuda: {field} must be {limit}; is {value}");
        }
    }

    private static int Ordinal(string device)
    {
        if (device == "cuda")
        {
            return 0;
        }

        return int.TryParse(device.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var ordinal)
            ? ordinal
            : throw new ModelLoadException($"device: auto, cpu, cuda or cuda:N; got {device}");
    }
}
