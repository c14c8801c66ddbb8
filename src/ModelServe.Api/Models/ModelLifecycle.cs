using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;
using ModelServe.Api.Health;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Models;

/// <summary>Loads models while others are served, and unloads them. Thread-safe; of two who want one name, one gets it.</summary>
internal sealed partial class ModelLifecycle(
    ModelCatalog catalog,
    ModelRoots roots,
    HealthReporter health,
    TimeProvider time,
    ILogger<ModelLifecycle> logger,
    IModelLoader? loader)
{
    /// <summary>How long a request that was ended may take to leave its engine before that is told.</summary>
    private static readonly TimeSpan FarewellTime = TimeSpan.FromSeconds(5);

    /// <summary>Checks what may be loaded and reserves its name.</summary>
    /// <param name="wanted">What the request asks for; its directory is relative, empty for the default.</param>
    /// <param name="order">What <see cref="LoadAsync"/> takes; the name is reserved until that returns.</param>
    /// <param name="rejection">Why not.</param>
    public bool TryBegin(
        ModelLoadOrder wanted,
        [NotNullWhen(true)] out ModelLoadOrder? order,
        [NotNullWhen(false)] out Rejection? rejection)
    {
        order = null;
        if (loader is null || roots.IsEmpty)
        {
            rejection = new Rejection(
                RejectionReason.LoadRefused, "directory", "a server that was started with --model-root", "a server without it");
            return false;
        }

        if (!ServedModel.IsLoadableName(wanted.Name))
        {
            rejection = FieldCheck.Invalid(
                "model", "1 to 64 of a-z, 0-9, dot, underscore and dash, the first a letter or digit", FieldCheck.Quote(wanted.Name));
            return false;
        }

        string directory = wanted.Directory.Length > 0 ? wanted.Directory : catalog.Find(wanted.Name)?.Directory ?? wanted.Name;
        rejection = roots.Resolve(directory, out string path) ?? catalog.BeginLoad(wanted.Name, directory);
        order = rejection is null ? wanted with { Directory = path } : null;
        return rejection is null;
    }

    /// <summary>Loads what was reserved and serves it.</summary>
    /// <exception cref="ModelRefusedException">The checkpoint cannot be served.</exception>
    /// <exception cref="OperationCanceledException">The call was cancelled; nothing is left of the load.</exception>
    public async Task<ServedModel> LoadAsync(ModelLoadOrder order, IProgress<ModelLoadStep> progress, CancellationToken cancellationToken)
    {
        ServedModel? model = null;
        try
        {
            Log.Loading(logger, order.Name);
            // A thread of its own: the work is long and does not await.
            model = await Task.Factory.StartNew(
                () => loader!.Load(order, progress, cancellationToken),
                CancellationToken.None,
                TaskCreationOptions.LongRunning,
                TaskScheduler.Default);
            cancellationToken.ThrowIfCancellationRequested();
            catalog.CompleteLoad(model);
            health.Refresh();
            Log.Loaded(logger, order.Name);
            return model;
        }
        catch (Exception exception)
        {
            model?.Resources?.Dispose();
            catalog.AbandonLoad(order.Name);
            Log.NotLoaded(logger, order.Name, exception.Message);
            throw;
        }
    }

    /// <summary>Takes a model out of the catalog; <see cref="UnloadAsync"/> must follow.</summary>
    public bool TryBeginUnload(
        string name, [NotNullWhen(true)] out ServedModel? model, [NotNullWhen(false)] out Rejection? rejection)
    {
        if (!catalog.TryBeginUnload(name, out model, out rejection))
        {
            return false;
        }

        model.Engine.BeginDrain();
        health.Refresh();
        Log.Unloading(logger, name);
        return true;
    }

    /// <summary>Lets live requests end, ends the rest, and gives the memory back.</summary>
    /// <returns>How many requests had to be ended.</returns>
    public async Task<int> UnloadAsync(ServedModel model, TimeSpan drain)
    {
        int ended = 0;
        if (!await EndsWithinAsync(model, drain))
        {
            ended = Live(model);
            model.Engine.EndAll(FinishReason.Drained);
            if (!await EndsWithinAsync(model, FarewellTime))
            {
                Log.Stuck(logger, model.Name);
            }
        }

        // Waits for the engine's thread, however long its step takes.
        await Task.Factory.StartNew(
            () => model.Resources?.Dispose(), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        catalog.CompleteUnload(model.Name);
        health.Refresh();
        Log.Unloaded(logger, model.Name, ended);
        return ended;
    }

    /// <summary>Requests of a model that have not ended.</summary>
    public static int Live(ServedModel model) => model.Engine.Status is var status ? status.Running + status.Waiting : 0;

    private async Task<bool> EndsWithinAsync(ServedModel model, TimeSpan limit)
    {
        try
        {
            await model.Engine.Drained.WaitAsync(limit, time);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(EventId = 1, Level = LogLevel.Information, Message = "Loading model {Model}")]
        public static partial void Loading(ILogger logger, string model);

        [LoggerMessage(EventId = 2, Level = LogLevel.Information, Message = "Model {Model} was loaded")]
        public static partial void Loaded(ILogger logger, string model);

        [LoggerMessage(EventId = 3, Level = LogLevel.Warning, Message = "Model {Model} was not loaded: {Reason}")]
        public static partial void NotLoaded(ILogger logger, string model, string reason);

        [LoggerMessage(EventId = 4, Level = LogLevel.Information, Message = "Unloading model {Model}")]
        public static partial void Unloading(ILogger logger, string model);

        [LoggerMessage(EventId = 5, Level = LogLevel.Information, Message = "Model {Model} was unloaded; {Ended} requests were ended")]
        public static partial void Unloaded(ILogger logger, string model, int ended);

        [LoggerMessage(EventId = 6, Level = LogLevel.Error, Message = "Requests of model {Model} did not end; waiting for its engine")]
        public static partial void Stuck(ILogger logger, string model);
    }
}
