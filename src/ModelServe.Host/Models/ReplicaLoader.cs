using System.Runtime.ExceptionServices;
using ModelServe.Execution.Loading;

namespace ModelServe.Host.Models;

/// <summary>Loads one checkpoint onto several devices at once, onto all of them or none.</summary>
internal sealed class ReplicaLoader : IDisposable
{
    private readonly string _directory;
    private readonly ModelLoadOptions[] _options;
    private readonly IProgress<LoadProgress> _progress;
    private readonly LoadedModel?[] _loaded;
    private readonly CancellationTokenSource _stop = new();
    private Exception? _failure;

    private ReplicaLoader(string directory, ModelLoadOptions[] options, IProgress<LoadProgress> progress)
    {
        (_directory, _options, _progress) = (directory, options, progress);
        _loaded = new LoadedModel?[options.Length];
    }

    /// <summary>Loads a copy for each of the options; all copies take the same longest sequence, which is what the fullest device has room for.</summary>
    /// <param name="directory">The checkpoint.</param>
    /// <param name="options">One a device; they differ in device and memory only.</param>
    /// <param name="progress">Told of the first copy, on the thread that loads it.</param>
    /// <exception cref="ModelLoadException">One of them cannot be loaded; what the others took has been given back.</exception>
    public static LoadedModel[] Load(string directory, IReadOnlyList<ModelLoadOptions> options, IProgress<LoadProgress> progress)
    {
        if (options.Count == 1)
        {
            return [ModelLoader.Load(directory, options[0], progress)];
        }

        int longest = options.Min(one => ModelLoader.Inspect(directory, one).Plan.Geometry.MaxModelLength);
        using ReplicaLoader loader = new(directory, [.. options.Select(one => one with { MaxModelLength = longest })], progress);
        return loader.LoadAll();
    }

    /// <inheritdoc />
    public void Dispose() => _stop.Dispose();

    private LoadedModel[] LoadAll()
    {
        // A thread each: the work is long, and the devices do not wait for one another.
        Thread[] threads = [.. Enumerable.Range(0, _options.Length).Select(i => new Thread(() => LoadOne(i)) { IsBackground = true, Name = $"modelserve loader {_options[i].Device}" })];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        if (_failure is not null)
        {
            Array.ForEach(_loaded, loaded => loaded?.Dispose());
            ExceptionDispatchInfo.Throw(_failure);
        }

        return [.. _loaded.Select(loaded => loaded!)];
    }

    private void LoadOne(int number)
    {
        try
        {
            _loaded[number] = ModelLoader.Load(_directory, _options[number], number == 0 ? _progress : new Unheard(_stop.Token));
        }
#pragma warning disable CA1031 // Thrown again on the thread that asked for the copies.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            // The first to fail says why; the others only say that they were stopped.
            Interlocked.CompareExchange(ref _failure, exception, null);
            _stop.Cancel();
        }
    }

    /// <summary>Tells nobody, and ends a load that another copy's failure has made useless.</summary>
    private sealed class Unheard(CancellationToken stopped) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value) => stopped.ThrowIfCancellationRequested();
    }
}
