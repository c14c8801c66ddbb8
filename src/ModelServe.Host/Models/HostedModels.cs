using ModelServe.Api.Models;
using ModelServe.Codec;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Host.Options;

namespace ModelServe.Host.Models;

/// <summary>Every model of this process: those of the command line and those loaded by request; disposed together at the end.</summary>
/// <remarks>
/// Thread-safe. Those of the command line are planned together. A model loaded by request is planned into the memory that the
/// others' plans leave, on every device; hence one loads at a time.
/// </remarks>
internal sealed class HostedModels(EngineSettings settings, AnswerForm answers, TimeProvider time) : IModelLoader, IDisposable
{
    private readonly Lock _gate = new();
    private readonly List<HostedModel> _models = [];
    private readonly SemaphoreSlim _loading = new(1);

    /// <summary>Loads the models of the command line, one after the other.</summary>
    /// <exception cref="ModelLoadException">One cannot be served, or they do not fit together.</exception>
    public IEnumerable<HostedModel> LoadAll(IReadOnlyList<ModelReference> references)
    {
        bool share = references.Count > 1;
        long[]?[] shares = [.. settings.Devices.Select(device => share && settings.IsGpu ? GpuMemoryShares.Divide(device, references, settings) : null)];
        EngineSettings each = settings with { ModelsSharingMemory = settings.IsGpu ? 1 : references.Count };
        for (int i = 0; i < references.Count; i++)
        {
            ModelReference reference = references[i];
            DeviceRoom[] rooms = [.. each.Devices.Select((device, d) => new DeviceRoom(device, shares[d]?[i], settings.IsGpu ? HeldOn(device) : []))];
            HostedModel Load() => HostedModel.Load(reference, each, requireText: true, time, rooms: rooms);
            yield return Keep(share ? NamedFailure.Of(reference.Name, Load) : Load());
        }
    }

    /// <inheritdoc />
    public ServedModel Load(ModelLoadOrder order, IProgress<ModelLoadStep> progress, CancellationToken cancellationToken)
    {
        progress.Report(new ModelLoadStep(ModelLoadStage.Checking));
        _loading.Wait(cancellationToken);
        try
        {
            HostedModel model = Keep(HostedModel.Load(
                new ModelReference(order.Name, order.Directory),
                SettingsFor(order),
                requireText: true,
                time,
                new LoadSteps(progress, cancellationToken),
                settings.IsGpu ? [.. settings.Devices.Select(device => new DeviceRoom(device, null, HeldOn(device)))] : null));
            progress.Report(new ModelLoadStep(ModelLoadStage.Starting));
            return Serve(model);
        }
        catch (Exception exception) when (exception
            is ModelLoadException or InvalidTextModelException or UnsupportedFeatureException or IOException or UnauthorizedAccessException)
        {
            // The folder is the operator's secret; what lies in it was named by who asks.
            throw new ModelRefusedException(exception.Message.Replace(order.Directory + "/", "", StringComparison.Ordinal), exception);
        }
        finally
        {
            _loading.Release();
        }
    }

    /// <summary>A loaded model under its name.</summary>
    public ServedModel Serve(HostedModel model) => new(model.Name, model.Text, model.Engine)
    {
        Directory = model.Directory,
        Answers = answers.Of(model.Directory),
        Resources = new Release(this, model),
    };

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (HostedModel model in Snapshot())
        {
            model.Dispose();
        }

        _loading.Dispose();
    }

    private EngineSettings SettingsFor(ModelLoadOrder order)
    {
        if (order.DType is { } given && !EngineSettings.DTypes.Contains(given))
        {
            throw new ModelRefusedException($"dtype: {string.Join(", ", EngineSettings.DTypes)}; got '{given}'");
        }

        long planned = Snapshot().Sum(model => model.Plans.Sum(plan => plan.TotalBytes));
        return settings with
        {
            MaxModelLength = order.ContextTokens ?? settings.MaxModelLength,
            KvMemoryBytes = order.CacheBytes ?? settings.KvMemoryBytes,
            DType = order.DType ?? settings.DType,
            MemoryBytes = settings.IsGpu ? null : Math.Max(1, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes - planned),
        };
    }

    private HeldMemory[] HeldOn(string device) =>
    [
        .. Snapshot().SelectMany(model => model.Plans.Where(plan => plan.Device == device).Select(plan => new HeldMemory(model.Name, plan.TotalBytes))),
    ];

    private HostedModel Keep(HostedModel model)
    {
        lock (_gate)
        {
            _models.Add(model);
        }

        return model;
    }

    private HostedModel[] Snapshot()
    {
        lock (_gate)
        {
            return [.. _models];
        }
    }

    /// <summary>Gives one model back before the end of the process.</summary>
    private sealed class Release(HostedModels owner, HostedModel model) : IDisposable
    {
        public void Dispose()
        {
            model.Dispose();
            lock (owner._gate)
            {
                owner._models.Remove(model);
            }
        }
    }

    /// <summary>Hands the reader's progress on, and ends the load where the call was cancelled.</summary>
    private sealed class LoadSteps(IProgress<ModelLoadStep> target, CancellationToken cancellationToken) : IProgress<LoadProgress>
    {
        public void Report(LoadProgress value)
        {
            cancellationToken.ThrowIfCancellationRequested();
            target.Report(new ModelLoadStep(ModelLoadStage.Weights, Path.GetFileName(value.File), value.BytesRead, value.BytesTotal));
        }
    }
}
