using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;

namespace ModelServe.Engine.Running;

/// <summary>What the rest of the server may ask of one model's engine, from any thread.</summary>
public interface IEngine
{
    /// <summary>The agreed sizes of the model.</summary>
    ExecutorGeometry Geometry { get; }

    /// <summary>Counts of this moment, for metrics, health and admission messages.</summary>
    EngineStatus Status { get; }

    /// <summary>Takes a request in, or says at once why not. Never blocks on the model.</summary>
    /// <returns>The stream of its tokens, or the rejection; exactly one is set.</returns>
    AdmissionResult Admit(GenerationRequest request);

    /// <summary>Takes all of some requests in, or none of them and says at once why. Never blocks on the model.</summary>
    /// <param name="requests">At least one, of one tenant and tier; their places in the queue are taken as one.</param>
    /// <param name="streams">Receives the stream of each request when all are taken in; of the same length.</param>
    /// <returns>Null, or the rejection of the whole.</returns>
    Rejection? AdmitAll(ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams);

    /// <summary>Ends a request by name at the next step boundary; its blocks are free within one step.</summary>
    /// <returns>Whether a live request had that id.</returns>
    bool Abort(string requestId, FinishReason reason);

    /// <summary>Whether a request of that name has been admitted and has not ended.</summary>
    bool IsLive(string requestId);

    /// <summary>Declares the step that the executor is at lost: the engine has failed, and every request ends as failed, at once and once.</summary>
    /// <remarks>
    /// For a step that never returns. Should it return all the same, its result is dropped. The executor is not touched again,
    /// and the process is best ended soon. Any thread.
    /// </remarks>
    /// <param name="reason">What the engine's failure will say.</param>
    /// <returns>False when the engine was not inside its executor at this moment, or a step was given up before.</returns>
    bool GiveUpStep(string reason);

    /// <summary>Changes of the prefix cache, for routers that follow it; null where none are kept.</summary>
    KvEventLog? KvEvents { get; }

    /// <summary>Complete once draining has begun and every request has ended.</summary>
    Task Drained { get; }

    /// <summary>Refuses new requests from now on; those admitted run to their end. Cannot be taken back.</summary>
    void BeginDrain();

    /// <summary>Ends every live request with that reason at the next step boundary.</summary>
    void EndAll(FinishReason reason);

    /// <summary>Makes the engine stand still, or go on; requests are admitted meanwhile, and deadlines pass.</summary>
    /// <param name="mode">How; <see cref="PauseMode.None"/> goes on.</param>
    /// <param name="cancellationToken">Ends the wait; what was asked for stays in force.</param>
    /// <returns>Whether the standstill was reached; false when another order, a failure or the end of the engine came first.</returns>
    Task<bool> PauseAsync(PauseMode mode, CancellationToken cancellationToken);

    /// <summary>Forgets every cached prefix; running requests keep their blocks.</summary>
    /// <returns>How many blocks could be found before.</returns>
    Task<int> FlushPrefixCacheAsync(CancellationToken cancellationToken);
}
