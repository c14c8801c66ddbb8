using System.Diagnostics;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Loading;

/// <summary>Turns a model directory into a model that runs.</summary>
/// <remarks>
/// Everything is checked before the first weight is read: config, headers, names, shapes, memory. Loading then holds the weights
/// once and one chunk of scratch. Any thread.
/// </remarks>
public static class ModelLoader
{
    /// <summary>Reads config and headers and plans the memory, without loading a weight.</summary>
    /// <exception cref="ModelLoadException">The checkpoint is damaged or unsupported, or does not fit.</exception>
    public static (ModelConfig Config, MemoryPlan Plan) Inspect(string directory, ModelLoadOptions options)
    {
        var config = ModelConfig.Read(directory);
        RequireQuantizable(options);
        using var checkpoint = Checkpoint.Open(directory);
        if (IsCuda(options.Device))
        {
            RequireCuda(options);
            return (config, CudaModelLoader.Plan(config, checkpoint, options));
        }

        RequireCpu(options);
        return (config, new WeightLoader(directory, config, checkpoint, options, null).Plan());
    }

    /// <summary>Loads a model.</summary>
    /// <exception cref="ModelLoadException">
    /// The checkpoint is damaged or unsupported, does not fit, an option is out of range, or libtorch does not load.
    /// </exception>
    public static LoadedModel Load(string directory, ModelLoadOptions options, IProgress<LoadProgress>? progress)
    {
        var config = ModelConfig.Read(directory);
        RequireQuantizable(options);
        using var checkpoint = Checkpoint.Open(directory);
        if (IsCuda(options.Device))
        {
            RequireCuda(options);
            return CudaModelLoader.Load(directory, config, checkpoint, options, progress);
        }

        RequireCpu(options);
        var loader = new WeightLoader(directory, config, checkpoint, options, progress);
        loader.Plan();
        var start = Stopwatch.GetTimestamp();
        var (loaded, plan, map, notes) = loader.Load();
        var loading = Stopwatch.GetElapsedTime(start);
        ModelMemory? memory = loaded;
        IOps? ops = null;
        CausalDecoder? decoder = null;
        try
        {
            var weights = map.Bind(memory.Weights);
            var shape = MemoryPlan.Shape(
                config, plan.Geometry.MaxSequences, plan.Geometry.MaxBatchedTokens, plan.Geometry.MaxModelLength);
            var kind = options.Ops == OpsKind.Auto ? OpsKind.Cpu : options.Ops;
            ops = MakeOps(kind, shape, Threads(options), options.CpuKernels, options.PinThreads, options.WeightPacking);
            foreach (var matrix in weights.Matrices)
            {
                ops.Adopt(matrix);
            }

            if (weights.Matrices.Any(matrix => matrix.Layout == WeightLayout.NarrowPanels))
            {
                plan = plan with { HeldWeightBytes = WeightGaps.Close(weights, memory.Weights) };
            }

            decoder = new CausalDecoder(config, shape, ops, weights, memory.Cache, memory.Rotary.Table);

            // Never longer than the loading itself, so that a start takes at most twice as long.
            FirstTouch.Run(decoder.Arena, memory.Cache, loading);
            var model = new LoadedModel(config, plan, kind, DescribeKernels(options), notes, new ModelRunner(decoder, plan.Geometry), decoder, ops, memory);
            (memory, ops, decoder) = (null, null, null);
            return model;
        }
        finally
        {
            decoder?.Dispose();
            ops?.Dispose();
            memory?.Dispose();
        }
    }

    /// <summary>Which kernels multiply, and on how many threads, in a line.</summary>
    /// <exception cref="ModelLoadException">The native kernels were asked for and cannot run.</exception>
    public static string DescribeKernels(ModelLoadOptions options)
    {
        var features = options.Ops == OpsKind.Torch ? NativeCpuFeatures.None : Features(options.CpuKernels);
        var own = features == NativeCpuFeatures.None ? "C#" : $"native ({features}) and C#";

        // Without its own kernels for many rows in bfloat16, a model takes libtorch's where there is one.
        var kind = options.Ops == OpsKind.Torch ? "libtorch"
            : features.HasFlag(NativeCpuFeatures.Avx512BFloat16) ? own
            : NativeTorch.IsThere() ? own + ", libtorch for many rows" : own + " alone";
        return $"{kind}, {Threads(options)} threads";
    }

    /// <summary>The operations of a kind, for at most the given sizes.</summary>
    internal static IOps MakeOps(
        OpsKind kind,
        OpsShape shape,
        int threads,
        CpuKernels kernels = CpuKernels.Auto,
        bool pinThreads = false,
        WeightPacking packing = WeightPacking.Auto)
    {
        if (threads is < 1 or > 1024)
        {
            throw new ModelLoadException($"threads: 1..1024; got {threads}");
        }

        return kind switch
        {
            OpsKind.Torch => new TorchOps(threads),
            OpsKind.Cpu => new CpuOps(shape, threads, Features(kernels), pin: pinThreads, narrow: packing == WeightPacking.Auto),
            _ => throw new ModelLoadException($"ops: torch or cpu; got {kind}"),
        };
    }

    private static int Threads(ModelLoadOptions options) => options.Threads ?? ProcessorShare.Whole();

    private static NativeCpuFeatures Features(CpuKernels kernels)
    {
        var features = kernels == CpuKernels.Managed ? NativeCpuFeatures.None : NativeCpu.Load();
        return kernels == CpuKernels.Native && !features.HasFlag(NativeCpuFeatures.Avx512BFloat16)
            ? throw new ModelLoadException(
                "cpu-kernels: native needs the library libmodelserve_cpu.so beside the program and a processor with AVX-512 BF16; one of them is missing")
            : features;
    }

    private static bool IsCuda(string device) => device == "cuda" || device.StartsWith("cuda:", StringComparison.Ordinal);

    private static void RequireCuda(ModelLoadOptions options)
    {
        if (options.KeyValueFormat == KeyValueFormat.Int8)
        {
            throw new ModelLoadException("kv-dtype: int8 needs device cpu; got " + options.Device);
        }
    }

    private static void RequireCpu(ModelLoadOptions options)
    {
        if (options.Device is not ("auto" or "cpu"))
        {
            throw new ModelLoadException($"device: auto, cpu, cuda or cuda:N; got {options.Device}");
        }

        if (options.KeyValueFormat == KeyValueFormat.Float8)
        {
            throw new ModelLoadException("kv-dtype: fp8 needs device cuda; got " + options.Device);
        }

        if (options.Ops == OpsKind.Cuda)
        {
            throw new ModelLoadException("ops: torch or cpu on device " + options.Device + "; got cuda");
        }
    }

    private static void RequireQuantizable(ModelLoadOptions options)
    {
        if (options.Quantization?.Format == QuantizedFormat.Float8 && !IsCuda(options.Device))
        {
            throw new ModelLoadException($"quantize: fp8 needs device cuda, and int8 is as narrow on cpu; got device {options.Device}");
        }

        if (options.Quantization is not null && options.Ops == OpsKind.Torch)
        {
            throw new ModelLoadException("quantize: needs the operations cpu; got torch, which multiply by the checkpoint's own weights");
        }
    }
}
