namespace ModelServe.Engine.Running;

/// <summary>What a model did before requests could reach it.</summary>
/// <param name="Steps">Steps that ran.</param>
/// <param name="Time">What they took.</param>
/// <param name="Failure">Why the executor cannot be used, or null.</param>
public sealed record WarmUpReport(long Steps, TimeSpan Time, string? Failure);
