namespace ModelServe.Api.OpenAi;

/// <summary>How many outputs a client wants for each prompt, and how they are sent.</summary>
/// <param name="Stream">Whether as events while they are made.</param>
/// <param name="IncludeUsage">Whether the stream ends with the counts.</param>
/// <param name="ContinuousUsage">Whether every event carries the counts so far.</param>
/// <param name="Choices">Outputs for each prompt.</param>
internal sealed record OutputShape(bool Stream, bool IncludeUsage, bool ContinuousUsage, int Choices)
{
    /// <summary>Alternatives in the list of each prompt's log probabilities; null where no list is wanted.</summary>
    public int? PromptLogprobs { get; init; }
}
