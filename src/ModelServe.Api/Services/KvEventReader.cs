using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;

namespace ModelServe.Api.Services;

/// <summary>Follows one model's log of prefix-cache changes from a number on. One reader, one call.</summary>
/// <remarks>It looks every few milliseconds, because the engine thread must not wake anybody for it.</remarks>
internal sealed class KvEventReader : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(5);

    private readonly ServedModel _model;
    private readonly ModelCatalog _catalog;
    private readonly PeriodicTimer _timer;

    private KvEventReader(ServedModel model, ModelCatalog catalog, KvEventLog log, TimeProvider time)
    {
        _model = model;
        _catalog = catalog;
        _timer = new PeriodicTimer(Period, time);
        Log = log;
        Current = new KvEvent(log.BlockTokens);
        Next = log.LastSequence + 1;
    }

    /// <summary>The log.</summary>
    public KvEventLog Log { get; }

    /// <summary>Number of the event that is read next; at first the one after the newest.</summary>
    public long Next { get; set; }

    /// <summary>The event that was read last.</summary>
    public KvEvent Current { get; }

    /// <summary>A reader that stands behind the newest event.</summary>
    /// <exception cref="Grpc.Core.RpcException">The model keeps no log (UNIMPLEMENTED).</exception>
    public static KvEventReader Open(ServedModel model, ModelCatalog catalog, TimeProvider time) =>
        model.Engine.KvEvents is { } log
            ? new KvEventReader(model, catalog, log, time)
            : throw RejectionStatus.ToException(new Rejection(
                RejectionReason.Unsupported, "model", "one that keeps a log of its prefix cache", $"'{model.Name}'"));

    /// <summary>Reads the next event if it has happened.</summary>
    public KvReadResult TryRead()
    {
        KvReadResult result = Log.TryRead(Next, Current);
        Next += result == KvReadResult.Read ? 1 : 0;
        return result;
    }

    /// <summary>Waits until it is worth looking again.</summary>
    /// <exception cref="Grpc.Core.RpcException">The model was unloaded (FAILED_PRECONDITION).</exception>
    /// <exception cref="OperationCanceledException">The call is over.</exception>
    public async ValueTask WaitAsync(CancellationToken cancellationToken)
    {
        if (!ReferenceEquals(_catalog.Find(_model.Name)?.Model, _model))
        {
            throw RejectionStatus.ToException(new Rejection(
                RejectionReason.ModelUnloaded, "model", "one that is served", $"'{_model.Name}', which was unloaded"));
        }

        await _timer.WaitForNextTickAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();
}
