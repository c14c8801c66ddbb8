namespace ModelServe.Api.Points;

/// <summary>A named place on the way of a request, where a test may hold it.</summary>
public enum PipelinePoint
{
    /// <summary>Read and checked; the engine has not been asked.</summary>
    Admitting,

    /// <summary>The engine has taken it; nothing was written.</summary>
    Admitted,

    /// <summary>About to look for news from the engine.</summary>
    Reading,

    /// <summary>Tokens are here; they are not written yet.</summary>
    Taken,

    /// <summary>The engine's last word is here; the terminal event is not written yet.</summary>
    Ended,

    /// <summary>About to ask the engine to end it.</summary>
    Cancelling,

    /// <summary>About to be given back, whatever happened before.</summary>
    Releasing,

    /// <summary>Given back.</summary>
    Released,
}
