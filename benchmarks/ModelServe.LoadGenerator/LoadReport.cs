namespace ModelServe.LoadGenerator;

/// <summary>What the clients of one run saw.</summary>
/// <param name="Model">The model that answered.</param>
/// <param name="Plan">What was sent.</param>
/// <param name="Completed">Requests that ended well.</param>
/// <param name="Failed">Requests that did not.</param>
/// <param name="FirstFailure">What the first of them was told.</param>
/// <param name="Seconds">From the first request to the last answer.</param>
/// <param name="ClientProcessorSeconds">Processor time that this program took meanwhile.</param>
/// <param name="RequestsPerSecond">Completed requests.</param>
/// <param name="OutputTokensPerSecond">Tokens received.</param>
/// <param name="PromptTokensPerSecond">Tokens sent.</param>
/// <param name="CachedPromptTokens">Of all prompt tokens sent those that the server's prefix cache had; null where it was not asked, over HTTP.</param>
/// <param name="FirstTokenSeconds">From sending a request to its first token.</param>
/// <param name="InterTokenSeconds">Between tokens; tokens of one message share the time since the one before.</param>
/// <param name="RequestSeconds">From sending a request to its end.</param>
/// <param name="BesideFirstTokenSeconds">From sending a request beside the measured ones to its token.</param>
internal sealed record LoadReport(
    string Model,
    LoadPlan Plan,
    int Completed,
    int Failed,
    string? FirstFailure,
    double Seconds,
    double ClientProcessorSeconds,
    double RequestsPerSecond,
    double OutputTokensPerSecond,
    double PromptTokensPerSecond,
    long? CachedPromptTokens,
    Distribution FirstTokenSeconds,
    Distribution InterTokenSeconds,
    Distribution RequestSeconds,
    Distribution BesideFirstTokenSeconds);
