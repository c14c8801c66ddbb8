using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>What is served here, over gRPC. Thread-safe.</summary>
internal sealed class ModelsService(
    ModelCatalog catalog, ModelDescription description, ModelLifecycle lifecycle, ServerDrain drain, ServerEnd end, TimeProvider time)
    : V1.Models.ModelsBase
{
    private const double DefaultDrainSeconds = 30;
    private static readonly TimeSpan ProgressPeriod = TimeSpan.FromMilliseconds(100);

    /// <inheritdoc/>
    public override Task<ListModelsResponse> List(ListModelsRequest request, ServerCallContext context)
    {
        var response = new ListModelsResponse();
        response.Models.Add(catalog.Entries.Select(description.Of));
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<Model> Get(GetModelRequest request, ServerCallContext context)
    {
        if (request.Model.Length > 0 && catalog.Find(request.Model) is { } entry)
        {
            return Task.FromResult(description.Of(entry));
        }

        return catalog.TryFind(request.Model, out ServedModel? model, out Rejection? rejection)
            ? Task.FromResult(description.Of(model))
            : throw RejectionStatus.ToException(rejection);
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task Load(
        LoadModelRequest request, IServerStreamWriter<LoadModelEvent> responseStream, ServerCallContext context)
    {
        if (drain.IsDraining)
        {
            throw RejectionStatus.ToException(
                new Rejection(RejectionReason.Draining, "server", "no loads while it is stopping", "a load"));
        }

        if (Check(request) is { } bad)
        {
            throw RejectionStatus.ToException(bad);
        }

        var wanted = new ModelLoadOrder(request.Model, request.Directory)
        {
            ContextTokens = request.HasContextTokens ? request.ContextTokens : null,
            CacheBytes = request.HasCacheBytes ? request.CacheBytes : null,
            DType = request.HasDtype ? request.Dtype : null,
        };
        if (!lifecycle.TryBegin(wanted, out ModelLoadOrder? order, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        await end.RunAsync(token => LoadAsync(order, responseStream, token), context.CancellationToken);
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task Unload(
        UnloadModelRequest request, IServerStreamWriter<UnloadModelEvent> responseStream, ServerCallContext context)
    {
        double seconds = request.HasDrainSeconds ? request.DrainSeconds : DefaultDrainSeconds;
        if (((request.Model.Length == 0 ? FieldCheck.Invalid("model", "a served model's name", "none") : null)
            ?? FieldCheck.Range("drain_seconds", (float)seconds, 0, 3600)) is { } bad)
        {
            throw RejectionStatus.ToException(bad);
        }

        if (!lifecycle.TryBeginUnload(request.Model, out ServedModel? model, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        // Not the call's to end: what was begun is finished even if nobody listens.
        Task<int> unload = lifecycle.UnloadAsync(model, TimeSpan.FromSeconds(seconds));
        using var timer = new PeriodicTimer(ProgressPeriod, time);
        while (!unload.IsCompleted)
        {
            await responseStream.WriteAsync(
                new UnloadModelEvent { Progress = new UnloadProgress { LiveRequests = ModelLifecycle.Live(model) } },
                context.CancellationToken);
            await Task.WhenAny(unload, timer.WaitForNextTickAsync(context.CancellationToken).AsTask());
            context.CancellationToken.ThrowIfCancellationRequested();
        }

        await responseStream.WriteAsync(
            new UnloadModelEvent { Unloaded = new Unloaded { EndedRequests = await unload } }, context.CancellationToken);
    }

    private async Task LoadAsync(ModelLoadOrder order, IServerStreamWriter<LoadModelEvent> stream, CancellationToken token)
    {
        var steps = new LoadSteps();
        Task<ServedModel> load = RunAsync(order, steps, token);
        try
        {
            await foreach (ModelLoadStep step in steps.ReadAllAsync(token))
            {
                await stream.WriteAsync(new LoadModelEvent { Progress = Wire(step) }, token);
            }
        }
        finally
        {
            // The loader sees a cancelled call at its next step and gives everything back; its ending is this call's.
            await ((Task)load).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        try
        {
            await stream.WriteAsync(new LoadModelEvent { Loaded = description.Of(await load) }, token);
        }
        catch (ModelRefusedException exception)
        {
            throw RejectionStatus.ToException(
                new Rejection(RejectionReason.LoadRefused, "directory", "a checkpoint that can be served", exception.Message));
        }
    }

    private static Rejection? Check(LoadModelRequest request) =>
        (request.HasContextTokens ? FieldCheck.Range("context_tokens", request.ContextTokens, 2, 1 << 20) : null)
        ?? (request.HasCacheBytes && request.CacheBytes < 1 ? FieldCheck.Invalid("cache_bytes", "at least 1", "less") : null)
        ?? (request.HasDtype ? FieldCheck.VisibleAscii("dtype", request.Dtype, 32) : null);

    private async Task<ServedModel> RunAsync(ModelLoadOrder order, LoadSteps steps, CancellationToken cancellationToken)
    {
        try
        {
            return await lifecycle.LoadAsync(order, steps, cancellationToken);
        }
        finally
        {
            steps.Complete();
        }
    }

    private static LoadProgress Wire(ModelLoadStep step)
    {
        var progress = new LoadProgress
        {
            Stage = step.Stage switch
            {
                ModelLoadStage.Checking => LoadStage.Checking,
                ModelLoadStage.Weights => LoadStage.Weights,
                ModelLoadStage.Starting => LoadStage.Starting,
                _ => throw new ArgumentOutOfRangeException(nameof(step), step.Stage, "a stage without a wire name"),
            },
            Bytes = step.Bytes,
            BytesTotal = step.BytesTotal,
        };
        if (step.File is { } file)
        {
            progress.File = file;
        }

        return progress;
    }
}
