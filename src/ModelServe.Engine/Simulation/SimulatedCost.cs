namespace ModelServe.Engine.Simulation;

/// <summary>What one step takes on a simulated device: a line through three measured points.</summary>
/// <param name="PerStep">Launches, weights read once.</param>
/// <param name="PerToken">Each token fed.</param>
/// <param name="PerCachedToken">Each earlier position that a fed sequence attends to.</param>
public readonly record struct SimulatedCost(TimeSpan PerStep, TimeSpan PerToken, TimeSpan PerCachedToken);
