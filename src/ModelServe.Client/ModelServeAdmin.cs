using Grpc.Core;
using ModelServe.V1;

namespace ModelServe.Client;

/// <summary>An operator's side of a ModelServe server: models, pauses, drain, events. Thread-safe.</summary>
public sealed class ModelServeAdmin
{
    private readonly Models.ModelsClient _models;
    private readonly Control.ControlClient _control;
    private readonly Events.EventsClient _events;
    private readonly Calls _calls;

    internal ModelServeAdmin(CallInvoker invoker, Calls calls)
    {
        _models = new Models.ModelsClient(invoker);
        _control = new Control.ControlClient(invoker);
        _events = new Events.EventsClient(invoker);
        _calls = calls;
    }

    /// <summary>Loads a checkpoint; progress, then the model. Leaving the enumeration early cancels the load.</summary>
    /// <exception cref="RequestRefusedException">It cannot be loaded; the message names file and tensor.</exception>
    public IAsyncEnumerable<LoadModelEvent> LoadAsync(LoadModelRequest request, CancellationToken cancellationToken = default) =>
        _calls.StreamAsync(call => _models.Load(request, call), null, cancellationToken);

    /// <summary>Unloads a model; progress, then how many requests had to be ended. Leaving early does not stop it.</summary>
    public IAsyncEnumerable<UnloadModelEvent> UnloadAsync(UnloadModelRequest request, CancellationToken cancellationToken = default) =>
        _calls.StreamAsync(call => _models.Unload(request, call), null, cancellationToken);

    /// <summary>Refuses new requests for good.</summary>
    /// <returns>Requests that are still live.</returns>
    public async Task<int> DrainAsync(DrainRequest? request = null, CancellationToken cancellationToken = default) =>
        (await _calls.OnceAsync(call => _control.DrainAsync(request ?? new DrainRequest(), call), null, cancellationToken)).LiveRequests;

    /// <summary>Makes one model, or every model, stand still; returns once it does.</summary>
    public Task<PauseResponse> PauseAsync(
        string? model = null, PauseMode mode = PauseMode.Keep, CancellationToken cancellationToken = default)
    {
        var request = new PauseRequest { Mode = mode };
        if (model is not null)
        {
            request.Model = model;
        }

        return _calls.OnceAsync(call => _control.PauseAsync(request, call), null, cancellationToken);
    }

    /// <summary>Lets one model, or every model, go on.</summary>
    public Task ResumeAsync(string? model = null, CancellationToken cancellationToken = default)
    {
        var request = new ResumeRequest();
        if (model is not null)
        {
            request.Model = model;
        }

        return _calls.OnceAsync(call => _control.ResumeAsync(request, call), null, cancellationToken);
    }

    /// <summary>Forgets the cached prefixes of one model, or of every model.</summary>
    /// <returns>Blocks that could be found before.</returns>
    public async Task<int> FlushPrefixCacheAsync(string? model = null, CancellationToken cancellationToken = default)
    {
        var request = new FlushPrefixCacheRequest();
        if (model is not null)
        {
            request.Model = model;
        }

        return (await _calls.OnceAsync(call => _control.FlushPrefixCacheAsync(request, call), null, cancellationToken)).Blocks;
    }

    /// <summary>Follows a model's prefix cache until the caller leaves.</summary>
    public IAsyncEnumerable<KvEventBatch> SubscribeKvEventsAsync(
        SubscribeKvEventsRequest request, CancellationToken cancellationToken = default) =>
        _calls.StreamAsync(call => _events.SubscribeKvEvents(request, call), DateTime.MaxValue, cancellationToken);

    /// <summary>Follows the state of the server and of every model until the caller leaves.</summary>
    public IAsyncEnumerable<ServerEvent> WatchServerAsync(CancellationToken cancellationToken = default) =>
        _calls.StreamAsync(call => _events.WatchServer(new WatchServerRequest(), call), DateTime.MaxValue, cancellationToken);
}
