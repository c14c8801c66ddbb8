using System.Globalization;
using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Host.Options;

namespace ModelServe.Host.Models;

/// <summary>One model of this process: its text side, and on each of its devices its weights and an engine; loaded and disposed together.</summary>
internal sealed class HostedModel : IDisposable
{
    private readonly LoadedModel[] _loaded;
    private readonly EngineLoop[] _engines;
    private readonly TextModel? _text;
    private int _disposed;

    private HostedModel(ModelReference reference, LoadedModel[] loaded, TextModel? text, EngineLoop[] engines, TimeProvider time)
    {
        Name = reference.Name;
        Directory = reference.Directory;
        _loaded = loaded;
        _engines = engines;
        _text = text;
        Engine = new ReplicaSet(engines, time);
        DefaultSampling = SamplingDefaults.From(text?.Defaults ?? GenerationDefaults.Load(reference.Directory));
    }

    /// <summary>The name that clients use.</summary>
    public string Name { get; }

    /// <summary>The checkpoint's folder.</summary>
    public string Directory { get; }

    /// <summary>The engines, running: one a device.</summary>
    public ReplicaSet Engine { get; }

    /// <summary>What the checkpoint's generation_config asks for where a request says nothing.</summary>
    public SamplingOptions DefaultSampling { get; }

    /// <summary>Whether the folder has a tokenizer; without one only token ids go in and come out.</summary>
    public bool HasText => _text is not null;

    /// <summary>Tokenizer and chat template.</summary>
    /// <exception cref="InvalidTextModelException">The folder has no tokenizer.json.</exception>
    public TextModel Text => _text ?? throw new InvalidTextModelException($"{Directory}: there is no tokenizer.json; only token ids can be used");

    /// <summary>The ids that end an answer.</summary>
    public IReadOnlyList<int> StopTokenIds => _text?.StopTokenIds ?? GenerationDefaults.Load(Directory).EosTokenIds;

    /// <summary>Where its memory goes, a plan a device.</summary>
    public IEnumerable<MemoryPlan> Plans => _loaded.Select(loaded => loaded.Plan);

    /// <summary>Where its memory goes, as a table a device.</summary>
    public string MemoryTable => string.Concat(_loaded.Select(loaded => $"{loaded.Plan.ToTable()}{"kernels",-18}{loaded.Kernels}\n"));

    /// <summary>Loads a checkpoint and starts its engines.</summary>
    /// <remarks>
    /// A folder without a tokenizer is refused if <paramref name="requireText"/>. Without <paramref name="progress"/> it goes to
    /// standard error while a large checkpoint loads. Without <paramref name="rooms"/> the model has the devices of the settings to itself.
    /// </remarks>
    public static HostedModel Load(
        ModelReference reference,
        EngineSettings settings,
        bool requireText,
        TimeProvider time,
        IProgress<LoadProgress>? progress = null,
        IReadOnlyList<DeviceRoom>? rooms = null)
    {
        rooms ??= [.. settings.Devices.Select(device => new DeviceRoom(device, settings.MemoryBytes, []))];
        ModelLoadOptions common = settings.ToLoadOptions();
        ModelLoadOptions[] options =
        [
            .. rooms.Select(room => common with
            {
                Device = room.Device, MemoryBytes = room.MemoryBytes ?? common.MemoryBytes, HeldByOthers = room.HeldByOthers,
                Report = line => Tell($"{reference.Name} on {room.Device}: {line}"),
            }),
        ];
        if (settings.VerifyChecksums)
        {
            ChecksumManifest.Verify(reference.Directory);
        }

        TextModel? text = requireText || File.Exists(Path.Combine(reference.Directory, "tokenizer.json")) ? TextModel.Load(reference.Directory) : null;
        LoadedModel[] loaded = ReplicaLoader.Load(reference.Directory, options, progress ?? new LoadProgressLine(reference.Name, Console.Error));
        for (int i = 0; i < loaded.Length; i++)
        {
            foreach (string note in loaded[i].Notes)
            {
                Console.Error.WriteLine(loaded.Length == 1 ? $"{reference.Name}: {note}" : $"{reference.Name} on {options[i].Device}: {note}");
            }
        }

        List<EngineLoop> engines = [];
        try
        {
            foreach (LoadedModel replica in loaded)
            {
                EngineLoop engine = new(replica.Executor, settings.ToEngineOptions(replica), time);
                engines.Add(engine);
                engine.Start(warmUp: settings.WarmUp);
            }

            AwaitWarmUp(reference.Name, engines, settings);
            return new HostedModel(reference, loaded, text, [.. engines], time);
        }
        catch
        {
            Release(engines, loaded);
            throw;
        }
    }

    // A model that cannot answer is better refused now than at its first request.
    private static void AwaitWarmUp(string name, List<EngineLoop> engines, EngineSettings settings)
    {
        TimeSpan limit = settings.StepTimeout == Timeout.InfiniteTimeSpan ? settings.StepTimeout : settings.WarmUp + settings.StepTimeout;
        foreach (EngineLoop engine in engines)
        {
            while (!engine.WarmedUp.Wait(limit))
            {
                string hung = string.Create(CultureInfo.InvariantCulture, $"a step of the warm-up did not return within {settings.StepTimeout.TotalSeconds:0.###} s");
                if (engine.GiveUpStep(hung))
                {
                    throw new ModelLoadException($"the model cannot answer: {hung}");
                }
            }

            WarmUpReport report = engine.WarmedUp.GetAwaiter().GetResult();
            if (report.Failure is { } failure)
            {
                throw new ModelLoadException($"the model cannot answer: {failure}");
            }

            if (report.Steps > 0)
            {
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}: warmed up in {report.Time.TotalSeconds:0.0} s, {report.Steps} steps"));
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        Release(_engines, _loaded);
    }

    private static void Release(IReadOnlyList<EngineLoop> engines, LoadedModel[] loaded)
    {
        for (int i = 0; i < loaded.Length; i++)
        {
            // The engine's thread runs the executor: it must have ended before the weights go. A lost step may still be reading them.
            if (i < engines.Count)
            {
                engines[i].Dispose();
            }

            if (i >= engines.Count || !engines[i].HasLostStep)
            {
                loaded[i].Dispose();
            }
        }
    }

    // An engine's thread does not wait for whoever reads the log.
    private static void Tell(string line) => ThreadPool.UnsafeQueueUserWorkItem(Console.Error.WriteLine, line, preferLocal: false);
}
