using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using ModelServe.Host.Options;

namespace ModelServe.Host.Commands;

/// <summary>The options about loading and scheduling that several commands share.</summary>
internal sealed class ModelOptionSet
{
    private const int MostDevices = 32;
    private readonly bool _severalDevices;
    private readonly Option<string> _device = new("--device") { Description = "auto, cpu, cuda or cuda:N", DefaultValueFactory = _ => "auto" };
    private readonly Option<string> _dtype = new("--dtype") { Description = "auto (the checkpoint's own), float32 or bfloat16", DefaultValueFactory = _ => "auto" };
    private readonly Option<string> _kvDType = new("--kv-dtype") { Description = "auto (as the weights), bf16, fp8 (GPU) or int8 (CPU): how keys and values are stored", DefaultValueFactory = _ => "auto" };
    private readonly Option<double?> _gpuMemory = new("--gpu-memory-utilization") { Description = "share of the GPU's memory that may be held (default 0.9)" };
    private readonly Option<bool> _deterministic = new("--deterministic") { Description = "on a GPU: an answer does not depend on what else is in its batch; slower" };
    private readonly Option<string?> _kernelLibrary = new("--kernel-library") { Description = "the GPU kernels' library (default: libmodelserve.so beside the program)" };
    private readonly Option<string> _quantize = new("--quantize") { Description = "none, int8 or int4 (CPU), fp8 (GPU): weights are rounded to so many bits while they load", DefaultValueFactory = _ => "none" };
    private readonly Option<string> _quantizeHead = new("--quantize-head") { Description = "auto (int8), int8, int4 or none: embeddings and output head, with --quantize", DefaultValueFactory = _ => "auto" };
    private readonly Option<string?> _cacheDirectory = new("--cache-dir") { Description = "where quantised weights (CPU) and measured products (GPU) are kept for the next start (default: modelserve in the user's cache folder; none keeps nothing)" };
    private readonly Option<long?> _cacheMax = new("--cache-max") { Description = "bytes that all quantised weights kept there may take, such as 20GiB; those used longest ago go first (default 32GiB)", CustomParser = ParseBytes };
    private readonly Option<int?> _maxModelLength = new("--max-model-len") { Description = "longest sequence in tokens (default: the checkpoint's limit)" };
    private readonly Option<long?> _kvMemory = new("--kv-memory") { Description = "memory for keys and values, such as 2GiB (default: derived)", CustomParser = ParseBytes };
    private readonly Option<int?> _maxRunning = new("--max-running") { Description = "sequences that run at once (default 64, on a GPU 256)" };
    private readonly Option<int?> _maxBatchedTokens = new("--max-batched-tokens") { Description = "tokens that one step feeds at most (default 512, on a GPU 8192)" };

    private readonly Option<int?> _mixedPrefillTokens = new("--mixed-prefill-tokens") { Description = "prompt tokens that one step feeds while others are answered, always as many; 0 for no such limit (default on a CPU: as --prefill-stretch allows)" };
    private readonly Option<double?> _prefillStretch = new("--prefill-stretch") { Description = "how many times as long a step may take with prompt tokens while others are answered as without, by measured step times; 0 for no such limit (default on a CPU: 1.75)" };
    private readonly Option<int?> _cpuThreads = new("--cpu-threads") { Description = "threads that compute on a CPU (default: one a processor, whole ones of a container's quota)" };
    private readonly Option<string> _cpuKernels = new("--cpu-kernels") { Description = "auto, native (the C library's) or managed (C# alone)", DefaultValueFactory = _ => "auto" };
    private readonly Option<string> _weightPacking = new("--weight-packing") { Description = "auto: bfloat16 weights take 12 bits each with the native kernels, without loss, where they can; off: 16", DefaultValueFactory = _ => "auto" };
    private readonly Option<bool> _pinThreads = new("--pin-threads") { Description = "keep each computing thread on one processor; only where nothing else runs" };

    /// <summary>Declares the options.</summary>
    /// <param name="severalDevices">Whether the command can use several GPUs at once.</param>
    public ModelOptionSet(bool severalDevices = false)
    {
        _severalDevices = severalDevices;
        if (severalDevices)
        {
            _device.Description = "auto, cpu, cuda, cuda:N, or several GPUs such as cuda:0,cuda:1: each gets every model, and requests are spread over them";
        }
    }

    /// <summary>Adds the options to a command; to one that loads no weights, all but the cache's.</summary>
    public void AddTo(Command command, bool loadsWeights = true)
    {
        _device.Validators.Add(result => Require(
            result, _device, IsDevice, _severalDevices ? "auto, cpu, cuda, cuda:N or several different ones such as cuda:0,cuda:1" : "auto, cpu, cuda or cuda:N"));
        _dtype.Validators.Add(result => Require(result, _dtype, value => value is "auto" or "float32" or "bfloat16", "auto, float32 or bfloat16"));
        _quantize.Validators.Add(result => Require(result, _quantize, value => value is "none" or "int8" or "int4" or "fp8", "none, int8, int4 or fp8"));
        _quantizeHead.Validators.Add(result => Require(result, _quantizeHead, value => value is "auto" or "int8" or "int4" or "none", "auto, int8, int4 or none"));
        _cacheDirectory.Validators.Add(result => Require(result, _cacheDirectory, value => value.Trim().Length > 0, "a folder or none"));
        _kvDType.Validators.Add(result => Require(result, _kvDType, value => value is "auto" or "bf16" or "fp8" or "int8", "auto, bf16, fp8 or int8"));
        _kernelLibrary.Validators.Add(result => Require(result, _kernelLibrary, value => value.Trim().Length > 0, "a path"));
        AddRange(_gpuMemory, 0.01, 1.0);
        command.Validators.Add(RequireQuantization);
        command.Validators.Add(RequireGpu);
        AddRange(_maxModelLength, 2, 1 << 20);
        AddRange(_maxRunning, 1, 4096);
        AddRange(_maxBatchedTokens, 1, 1 << 16);
        AddRange(_mixedPrefillTokens, 0, 1 << 16);
        _prefillStretch.Validators.Add(RequireStretch);
        AddRange(_cpuThreads, 1, 1024);
        _cpuKernels.Validators.Add(result => Require(result, _cpuKernels, value => value is "auto" or "native" or "managed", "auto, native or managed"));
        _weightPacking.Validators.Add(result => Require(result, _weightPacking, value => value is "auto" or "off", "auto or off"));
        Option[] cpu = [_mixedPrefillTokens, _prefillStretch, _cpuThreads, _cpuKernels, _weightPacking, _pinThreads];
        foreach (Option option in cpu)
        {
            command.Options.Add(option);
        }

        foreach (Option option in new Option[] { _device, _dtype, _kvDType, _gpuMemory, _deterministic, _kernelLibrary, _quantize, _quantizeHead, _maxModelLength, _kvMemory, _maxRunning, _maxBatchedTokens })
        {
            command.Options.Add(option);
        }

        if (loadsWeights)
        {
            command.Options.Add(_cacheDirectory);
            command.Options.Add(_cacheMax);
        }
    }

    /// <summary>What was given, over the defaults.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="maxRunning">Sequences that run at once where nothing was given; null takes the server's default.</param>
    public EngineSettings Read(ParseResult parsed, int? maxRunning = null)
    {
        EngineSettings defaults = new();
        if (IsGpu(parsed.GetValue(_device)))
        {
            defaults = defaults with { MaxRunning = 256, MaxBatchedTokens = 8192 };
        }

        return defaults with
        {
            Device = parsed.GetValue(_device) ?? defaults.Device,
            DType = parsed.GetValue(_dtype) ?? defaults.DType,
            KvDType = parsed.GetValue(_kvDType) ?? defaults.KvDType,
            GpuMemoryUtilization = parsed.GetValue(_gpuMemory) ?? defaults.GpuMemoryUtilization,
            Deterministic = parsed.GetValue(_deterministic),
            KernelLibrary = parsed.GetValue(_kernelLibrary),
            Quantize = parsed.GetValue(_quantize) ?? defaults.Quantize,
            QuantizeHead = parsed.GetValue(_quantizeHead) ?? defaults.QuantizeHead,
            CacheDirectory = parsed.GetValue(_cacheDirectory),
            CacheBytes = parsed.GetValue(_cacheMax),
            MaxModelLength = parsed.GetValue(_maxModelLength),
            KvMemoryBytes = parsed.GetValue(_kvMemory),
            MaxRunning = parsed.GetValue(_maxRunning) ?? maxRunning ?? defaults.MaxRunning,
            MaxBatchedTokens = parsed.GetValue(_maxBatchedTokens) ?? defaults.MaxBatchedTokens,
            MixedPrefillTokens = parsed.GetValue(_mixedPrefillTokens),
            PrefillStretch = parsed.GetValue(_prefillStretch),
            CpuThreads = parsed.GetValue(_cpuThreads),
            CpuKernels = parsed.GetValue(_cpuKernels) ?? defaults.CpuKernels,
            WeightPacking = parsed.GetValue(_weightPacking) ?? defaults.WeightPacking,
            PinThreads = parsed.GetValue(_pinThreads),
        };
    }

    /// <summary>Refuses a number outside its range, naming the option, the range and the value.</summary>
    public static void AddRange<T>(Option<T?> option, T low, T high)
        where T : struct, IComparable<T> =>
        option.Validators.Add(result =>
        {
            // Written so that NaN fails as well.
            if (result.GetValue(option) is { } value && !(value.CompareTo(low) >= 0 && value.CompareTo(high) <= 0))
            {
                result.AddError($"{option.Name}: expected {low}..{high}; got {value}");
            }
        });

    private static bool IsGpu(string? device) => device?.StartsWith("cuda", StringComparison.Ordinal) == true;

    private void RequireStretch(OptionResult result)
    {
        // Written so that NaN fails as well.
        if (result.GetValue(_prefillStretch) is { } stretch && !(stretch is 0 or (>= 1.05 and <= 1000)))
        {
            result.AddError(string.Create(CultureInfo.InvariantCulture, $"{_prefillStretch.Name}: expected 0 or 1.05..1000; got {stretch}"));
        }

        if (result.Parent is CommandResult command && command.GetResult(_mixedPrefillTokens) is { Implicit: false })
        {
            result.AddError($"{_prefillStretch.Name}: one of it and {_mixedPrefillTokens.Name}; got both");
        }
    }

    // An option without effect is a mistake that nobody would notice.
    private void RequireGpu(CommandResult result)
    {
        if (IsGpu(result.GetValue(_device)))
        {
            if (result.GetValue(_kvDType) == "int8")
            {
                result.AddError($"{_kvDType.Name}: int8 is for the CPU only; got --device {result.GetValue(_device)}");
            }

            return;
        }

        if (result.GetValue(_kvDType) == "fp8")
        {
            result.AddError($"{_kvDType.Name}: only --device cuda can use fp8");
        }

        foreach (Option option in new Option[] { _gpuMemory, _deterministic, _kernelLibrary })
        {
            if (result.GetResult(option) is { Implicit: false })
            {
                result.AddError($"{option.Name}: only --device cuda can use it");
            }
        }
    }

    // An option without effect is a mistake that nobody would notice.
    private void RequireQuantization(CommandResult result)
    {
        var device = result.GetValue(_device) ?? "auto";
        var quantize = result.GetValue(_quantize);
        if (quantize is "int8" or "int4" && IsGpu(device))
        {
            result.AddError($"--quantize: {quantize} is for the CPU, fp8 for a GPU; got --device {device}");
        }
        else if (quantize is "fp8" && !IsGpu(device))
        {
            result.AddError($"--quantize: fp8 is for a GPU, int8 and int4 for the CPU; got --device {device}");
        }

        if (quantize is not ("int8" or "int4") && result.GetResult(_quantizeHead) is { Implicit: false })
        {
            result.AddError($"{_quantizeHead.Name}: only --quantize int8 or int4 can use it");
        }

        if (quantize is not ("int8" or "int4") && !IsGpu(device) && result.GetResult(_cacheDirectory) is { Implicit: false })
        {
            result.AddError($"{_cacheDirectory.Name}: only --quantize int8 or int4, or --device cuda, can use it");
        }

        if (quantize is not ("int8" or "int4") && result.GetResult(_cacheMax) is { Implicit: false })
        {
            result.AddError($"{_cacheMax.Name}: only --quantize int8 or int4 can use it");
        }
    }

    private static void Require<T>(OptionResult result, Option<T> option, Func<string, bool> accepts, string expected)
    {
        if (result.GetValue(option) is string value && !accepts(value))
        {
            result.AddError($"{option.Name}: expected {expected}; got '{value}'");
        }
    }

    private bool IsDevice(string text)
    {
        string[] devices = text.Split(',');
        return devices.Length == 1
            ? text is "auto" or "cpu" or "cuda" || IsNumberedGpu(text)
            : _severalDevices && devices.Length <= MostDevices && devices.All(IsNumberedGpu) && devices.Distinct().Count() == devices.Length;
    }

    private static bool IsNumberedGpu(string device) => device.StartsWith("cuda:", StringComparison.Ordinal)
        && byte.TryParse(device.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out byte number)
        && device.Length == 5 + number.ToString(CultureInfo.InvariantCulture).Length;

    private static long? ParseBytes(ArgumentResult result)
    {
        string text = result.Tokens.Count > 0 ? result.Tokens[0].Value : "";
        if (ByteCount.TryParse(text, out long bytes))
        {
            return bytes;
        }

        result.AddError($"{(result.Parent as OptionResult)?.Option.Name}: expected a size such as 512MiB or 4GiB; got '{text}'");
        return null;
    }
}
