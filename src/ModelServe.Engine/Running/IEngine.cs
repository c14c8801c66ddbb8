using ModelServe.Engine.Admission;

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

    /// <summary>Ends a request by name at the next step boundary; its blocks are free within one step.</summary>
    /// <returns>Whether a live request had that id.</returns>
    bool Abort(string requestId, FinishReason reason);
}
