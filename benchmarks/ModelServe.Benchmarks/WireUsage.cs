namespace ModelServe.Benchmarks;

/// <summary>What the serving process has used and done since its start.</summary>
/// <param name="CpuSeconds">Processor time, all threads.</param>
/// <param name="AllocatedBytes">Bytes allocated.</param>
/// <param name="Steps">Steps of the engine.</param>
/// <param name="Tokens">Tokens generated.</param>
/// <param name="Running">Requests that hold a slot at this moment.</param>
internal sealed record WireUsage(double CpuSeconds, long AllocatedBytes, long Steps, long Tokens, int Running);
