namespace ModelServe.Api.Metrics;

/// <summary>What the process shows at one moment, beside its models.</summary>
/// <param name="RejectedWithoutModel">Requests that named no served model, since start.</param>
/// <param name="LiveRequests">Requests whose calls have not ended.</param>
/// <param name="Draining">Whether new requests are refused.</param>
/// <param name="CpuSeconds">Processor time since start, user and system.</param>
/// <param name="ResidentBytes">Memory of the process in RAM.</param>
/// <param name="HeapBytes">Managed heap after the last collection.</param>
/// <param name="UptimeSeconds">Since the server was composed.</param>
internal sealed record ServerReading(
    long RejectedWithoutModel,
    int LiveRequests,
    bool Draining,
    double CpuSeconds,
    long ResidentBytes,
    long HeapBytes,
    double UptimeSeconds);
