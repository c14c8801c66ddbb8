using System.Globalization;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Loading;

/// <summary>Brings a checkpoint's weights into a model's memory: as they are, quantised, or from the cache of quantised ones.</summary>
internal sealed class WeightLoader
{
    private readonly string _directory;
    private readonly ModelConfig _config;
    private readonly Checkpoint _checkpoint;
    private readonly ModelLoadOptions _options;
    private readonly IProgress<LoadProgress>? _progress;
    private readonly ElementType _type;
    private readonly List<string> _notes = [];

    /// <summary>A loader of an open checkpoint.</summary>
    public WeightLoader(
        string directory, ModelConfig config, Checkpoint checkpoint, ModelLoadOptions options, IProgress<LoadProgress>? progress)
    {
        _directory = directory;
        _config = config;
        _checkpoint = checkpoint;
        _options = options;
        _progress = progress;
        _type = ResolveType(options.Format, checkpoint);
    }

    // A number out of range is refused when the operations are made.
    private int Threads => Math.Clamp(_options.Threads ?? Environment.ProcessorCount, 1, 1024);

    /// <summary>Plans the memory and checks names and shapes, before anything is read; no tensor is thought to lose too much.</summary>
    /// <exception cref="ModelLoadException">Something does not fit.</exception>
    public MemoryPlan Plan() => Plan(QuantizationChoice.Of(_options.Quantization)).Plan;

    /// <summary>Loads the weights.</summary>
    /// <exception cref="ModelLoadException">Something does not fit, cannot be read, or is no finite number where that matters.</exception>
    public LoadedWeights Load()
    {
        var choice = QuantizationChoice.Of(_options.Quantization);
        var cache = OpenCache();
        return (cache is null ? null : FromCache(choice, cache)) ?? FromCheckpoint(choice, cache);
    }

    private (MemoryPlan Plan, WeightMap Map) Plan(QuantizationChoice choice)
    {
        var map = new WeightMap(_config, _type, choice);
        map.Check(_checkpoint.Tensors);
        var budget = _options.MemoryBytes ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return (MemoryPlan.Make(_config, _type, _options, budget, choice), map);
    }

    private WeightCache? OpenCache()
    {
        if (_options.Quantization is not { CacheDirectory: not WeightQuantization.NoCache } asked)
        {
            return null;
        }

        try
        {
            var folder = CacheFolder.Open(asked.CacheDirectory, _directory);
            return new WeightCache(folder, WeightCacheKey.Of(_directory, _checkpoint, _config, _type, asked), asked.CacheBytes, _notes.Add);
        }
        catch (ModelLoadException exception) when (asked.CacheDirectory is null && exception is not CheckpointException)
        {
            // A folder that nobody asked for keeps nobody from starting.
            _notes.Add($"quantised weights are not kept: {exception.Message}");
            return null;
        }
    }

    private LoadedWeights? FromCache(QuantizationChoice choice, WeightCache cache)
    {
        LoadedWeights? made = null;
        var done = false;
        try
        {
            var losses = cache.TryRead(
                kept =>
                {
                    choice = choice.Keeping(kept);
                    var (plan, map) = Plan(choice);
                    made = new LoadedWeights(new ModelMemory(_config, plan), plan, map, _notes);
                    return made.Memory.Weights;
                },
                Threads,
                total => new LoadMeter(total, _progress));
            done = losses is not null;
            if (losses is not null)
            {
                Describe(choice, losses, "from the cache");
            }

            return done ? made : null;
        }
        finally
        {
            if (!done)
            {
                made?.Memory.Dispose();
            }
        }
    }

    private LoadedWeights FromCheckpoint(QuantizationChoice choice, WeightCache? cache)
    {
        // A tensor that loses too much changes the layout: what was read is given up and read once more, at most twice.
        while (true)
        {
            var (plan, map) = Plan(choice);
            ModelMemory? memory = new(_config, plan);
            try
            {
                var needed = map.Slots.Select(slot => slot.Name).ToHashSet(StringComparer.Ordinal);
                var meter = new LoadMeter(_checkpoint.Tensors.Values.Where(tensor => needed.Contains(tensor.Name)).Sum(tensor => tensor.Bytes), _progress);
                WeightReader.Read(_checkpoint, map, memory.Weights, meter);
                var losses = choice.IsNone ? [] : QuantizingReader.Read(_checkpoint, map, memory.Weights, Threads, meter);
                var tooLarge = losses.Where(loss => loss.IsTooLarge).ToArray();
                if (tooLarge.Length == 0)
                {
                    Describe(choice, losses, "on load");
                    cache?.Write(memory.Weights, choice.Kept, losses, Threads);
                    var loaded = new LoadedWeights(memory, plan, map, _notes);
                    memory = null;
                    return loaded;
                }

                _notes.AddRange(tooLarge.Select(Note));
                choice = choice.Keeping(tooLarge.Select(loss => KeyValuePair.Create(loss.Name, loss.Wider)));
            }
            finally
            {
                memory?.Dispose();
            }
        }
    }

    private static string Note(TensorLoss loss) => string.Create(
        CultureInfo.InvariantCulture,
        $"{loss.Name} is {(loss.Wider is { } wider ? $"stored in {wider.Name()}" : "not quantised")}: in {loss.Format.Name()} its relative error would be {loss.Error:0.000}, and at most {QuantizationChoice.MostError(loss.Format)} is allowed");

    private void Describe(QuantizationChoice choice, IReadOnlyList<TensorLoss> losses, string how)
    {
        if (losses.Count > 0)
        {
            var worst = losses.MaxBy(loss => loss.Error)!;
            _notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{losses.Count} tensors quantised {how}: {choice.Description}{(choice.Kept.Count == 0 ? "" : $", {choice.Kept.Count} stored more widely")}; largest relative error {worst.Error:0.0000} ({worst.Name}, {worst.Format.Name()})"));
        }
    }

    private static ElementType ResolveType(WeightFormat format, Checkpoint checkpoint) => format switch
    {
        WeightFormat.Float32 => ElementType.Float32,
        WeightFormat.BFloat16 => ElementType.BFloat16,
        _ => checkpoint.Tensors.Values.Where(tensor => tensor.Shape.Count == 2).All(tensor => tensor.Type == StoredType.BF16)
            ? ElementType.BFloat16
            : ElementType.Float32,
    };
}
