namespace ModelServe.Engine.Simulation;

/// <summary>Chooses a token as a pure function of everything before it.</summary>
/// <param name="prefix">Prompt and output so far.</param>
/// <returns>A token id, or <see cref="Running.StepResult.Failed"/>.</returns>
public delegate int NextToken(ReadOnlySpan<int> prefix);
