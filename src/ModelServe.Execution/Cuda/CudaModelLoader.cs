using System.Globalization;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Cuda;

/// <summary>Turns an open checkpoint into a model that runs on a GPU.</summary>
/// <remarks>
/// Everything is checked before the first weight is read: the library, the device, the kernels' limits, names, shapes, memory.
/// Weights and blocks are bfloat16 whatever the checkpoint holds. libtorch is not needed.
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
        using var device = Open(config, options);
        return Plan(config, checkpoint, options, device).Plan;
    }

    /// <summary>Loads a model.</summary>
    /// <exception cref="ModelLoadException">The model cannot be served on the device, or a file cannot be read.</exception>
    public static LoadedModel Load(
        string directory, ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options, IProgress<LoadProgress>? progress)
    {
        KernelDevice? device = Open(config, options);
        KernelMemory? memory = new(device);
        CudaResources? resources = null;
        try
        {
            var (plan, map) = Plan(config, checkpoint, options, device);
            var info = device.Info();
            resources = new CudaResources(config, plan, map, device, memory, options.Deterministic);
            (device, memory) = (null, null);
            List<string> notes = [.. DeviceWeightReader.Read(checkpoint, map, resources, options.Threads ?? Environment.ProcessorCount, progress)];
            if (!options.Deterministic && (options.TuneProducts ?? info.IsEmulated == 0))
            {
                notes.Add(resources.Tune(TuningCache.Open(options.CacheDirectory, directory, info, notes.Add)));
            }

            var executor = new CudaStepExecutor(resources, options.Depth, options.UseGraphs);
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

    private static KernelDevice Open(ModelConfig config, ModelLoadOptions options)
    {
        RequireKernels(config, options);
        var path = options.KernelLibraryPath ?? Path.Combine(AppContext.BaseDirectory, LibraryName);
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

    /// <summary>Refuses by name what no kernel was built for.</summary>
    private static void RequireKernels(ModelConfig config, ModelLoadOptions options)
    {
        if (options.Ops is not (OpsKind.Auto or OpsKind.Cuda))
        {
            throw new ModelLoadException($"ops: auto or cuda on device {options.Device}; got {options.Ops}");
        }

        if (options.Format == WeightFormat.Float32)
        {
            throw new ModelLoadException($"dtype: auto or bfloat16 on device {options.Device}; got float32");
        }

        if (options.Quantization is { } asked)
        {
            RequireFloat8(config, asked, options.Device);
        }

        Require(HeadDims.Contains(config.HeadDim), "head_dim", string.Join(", ", HeadDims), config.HeadDim);
        var group = config.QueryHeads / config.KeyValueHeads;
        Require(group <= MaxGroup, "num_attention_heads / num_key_value_heads", $"at most {MaxGroup}", group);
        Require(config.HiddenSize % 8 == 0 && config.HiddenSize <= 16384, "hidden_size", "a multiple of 8, at most 16384", config.HiddenSize);
        Require(config.IntermediateSize % 8 == 0, "intermediate_size", "a multiple of 8", config.IntermediateSize);
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
