using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;

namespace ModelServe.Api.Services;

/// <summary>Follows one engine's log of prefix-cache changes from a number on. One reader, one call.</summary>
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
    /// <param name="model">The model.</param>
    /// <param name="engine">Number of its engine; null for a model that has one.</param>
    /// <param name="field">The field that names the engine; null where the interface has none.</param>
    /// <param name="catalog">What is served.</param>
    /// <param name="time">The clock of waits.</param>
    /// <exception cref="Grpc.Core.RpcException">The model keeps no log (UNIMPLEMENTED), or there is no such engine (INVALID_ARGUMENT).</exception>
    public static KvEventReader Open(ServedModel model, int? engine, string? field, ModelCatalog catalog, TimeProvider time) =>
        LogOf(model, engine, field) is { } log
            ? new KvEventReader(model, catalog, log, time)
            : throw RejectionStatus.ToException(new Rejection(
                RejectionReason.Unsupported, "model", "one that keeps a log of its prefix cache", $"'{model.Name}'"));

    /// <summary>The log of an engine; events of several are numbered apart, so that none can stand for all.</summary>
    private static KvEventLog? LogOf(ServedModel model, int? engine, string? field)
    {
        int count = model.Replicas.Replicas.Count;
        if (count > 1 && field is null)
        {
            throw RejectionStatus.ToException(new Rejection(
                RejectionReason.Unsupported, "model", "one with a single engine in this interface", $"'{model.Name}', which has {count}"));
        }

        if (engine is null ? count > 1 : engine < 0 || engine >= count)
        {
            throw RejectionStatus.ToException(FieldCheck.Invalid(
                field!, count == 1 ? "0, the only one" : $"0..{count - 1}", engine is { } number ? FieldCheck.Text(number) : "none"));
        }

        return model.Replicas.Replicas[engine ?? 0].KvEvents;
    }

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
