namespace ModelServe.Api.Metrics;

/// <summary>The histograms that requests fill, one of each per model; their names and bounds stand in <see cref="MetricFamilies"/>.</summary>
internal enum ModelHistogram
{
    /// <summary>Seconds from acceptance to the first token.</summary>
    TimeToFirstToken,

    /// <summary>Seconds between tokens as they reach the pump.</summary>
    InterToken,

    /// <summary>Mean seconds a token, one observation a request.</summary>
    TimePerOutputToken,

    /// <summary>Seconds from acceptance to the end.</summary>
    EndToEnd,

    /// <summary>Seconds from acceptance to the first step.</summary>
    Queue,

    /// <summary>Seconds from the first step to the end.</summary>
    Inference,

    /// <summary>Seconds from the first step to the first token.</summary>
    Prefill,

    /// <summary>Seconds from the first token to the end.</summary>
    Decode,

    /// <summary>Prompt tokens of a request.</summary>
    PromptTokens,

    /// <summary>Output tokens of a request.</summary>
    OutputTokens,

    /// <summary>Most output tokens among the sequences of a request.</summary>
    MaxOutputTokens,

    /// <summary>Output tokens that a request allowed.</summary>
    MaxTokens,

    /// <summary>Prompt tokens that had to be computed.</summary>
    PrefillComputed,

    /// <summary>Seconds that a write waited for its reader.</summary>
    WriteStall,
}
