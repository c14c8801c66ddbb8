namespace ModelServe.Api.Facades;

/// <summary>Other projects' gRPC interfaces that this server answers beside its own.</summary>
[Flags]
public enum FacadeSet
{
    /// <summary>None of them.</summary>
    None = 0,

    /// <summary>vllm.grpc.engine.VllmEngine, which token-level routers speak.</summary>
    Vllm = 1,

    /// <summary>openengine.v1.Inference and Control.</summary>
    OpenEngine = 2,

    /// <summary>inference.GRPCInferenceService, the Open Inference Protocol.</summary>
    KServe = 4,

    /// <summary>All of them.</summary>
    All = Vllm | OpenEngine | KServe,
}
