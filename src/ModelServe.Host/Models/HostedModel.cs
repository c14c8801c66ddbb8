using ModelServe.Codec;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Host.Options;

namespace ModelServe.Host.Models;

/// <summary>One model of this process: its weights, its engine and its text side, loaded and disposed together.</summary>
internal sealed class HostedModel : IDisposable
{
    private readonly LoadedModel _loaded;
    private readonly TextModel? _text;
    private int _disposed;

    private HostedModel(ModelReference reference, LoadedModel loaded, TextModel? text, EngineLoop engine)
    {
        Name = reference.Name;
        Directory = reference.Directory;
        _loaded = loaded;
        _text = text;
        Engine = engine;
        DefaultSampling = SamplingDefaults.From(text?.Defaults ?? GenerationDefaults.Load(reference.Directory));
    }

    /// <summary>The name that clients use.</summary>
    public string Name { get; }

    /// <summary>The checkpoint's folder.</summary>
    public string Directory { get; }

    /// <summary>The scheduler, running.</summary>
    public EngineLoop Engine { get; }

    /// <summary>What the checkpoint's generation_config asks for where a request says nothing.</summary>
    public SamplingOptions DefaultSampling { get; }

    /// <summary>Whether the folder has a tokenizer; without one only token ids go in and come out.</summary>
    public bool HasText => _text is not null;

    /// <summary>Tokenizer and chat template.</summary>
    /// <exception cref="InvalidTextModelException">The folder has no tokenizer.json.</exception>
    public TextModel Text => _text ?? throw new InvalidTextModelException($"{Directory}: there is no tokenizer.json; only token ids can be used");

    /// <summary>The ids that end an answer.</summary>
    public IReadOnlyList<int> StopTokenIds => _text?.StopTokenIds ?? GenerationDefaults.Load(Directory).EosTokenIds;

    /// <summary>Memory that was planned for it.</summary>
    public long PlannedBytes => _loaded.Plan.TotalBytes;

    /// <summary>Where its memory goes, as a table.</summary>
    public string MemoryTable => $"{_loaded.Plan.ToTable()}{"kernels",-18}{_loaded.Kernels}\n";

    /// <summary>Loads a checkpoint and starts its engine.</summary>
    /// <remarks>
    /// A folder without a tokenizer is refused if <paramref name="requireText"/>. Without <paramref name="progress"/> it goes to
    /// standard error while a large checkpoint loads.
    /// </remarks>
    public static HostedModel Load(
        ModelReference reference, EngineSettings settings, bool requireText, TimeProvider time, IProgress<LoadProgress>? progress = null)
    {
        TextModel? text = requireText || File.Exists(Path.Combine(reference.Directory, "tokenizer.json")) ? TextModel.Load(reference.Directory) : null;
        LoadedModel loaded = ModelLoader.Load(reference.Directory, settings.ToLoadOptions(), progress ?? new LoadProgressLine(reference.Name, Console.Error));
        foreach (string note in loaded.Notes)
        {
            Console.Error.WriteLine($"{reference.Name}: {note}");
        }

        try
        {
            EngineLoop engine = new(loaded.Executor, settings.ToEngineOptions(loaded), time);
            engine.Start();
            return new HostedModel(reference, loaded, text, engine);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // The engine's thread runs the executor: it must have ended before the weights go.
        Engine.Dispose();
        if (!Engine.HasLostStep)
        {
            // A lost step may still be reading them; the process is on its way out.
            _loaded.Dispose();
        }
    }
}
