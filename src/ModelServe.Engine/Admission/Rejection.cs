namespace ModelServe.Engine.Admission;

/// <summary>The closed set of reasons for which a request is not accepted. One table in Api maps each to a status.</summary>
public enum RejectionReason
{
    /// <summary>A field holds a value outside its range, of the wrong kind, or a combination that cannot be.</summary>
    InvalidField,

    /// <summary>The prompt has no token.</summary>
    EmptyPrompt,

    /// <summary>The prompt alone fills the context window.</summary>
    PromptTooLong,

    /// <summary>The request can never fit the key-value cache.</summary>
    ExceedsCache,

    /// <summary>The named model is not served here.</summary>
    UnknownModel,

    /// <summary>The named model is being loaded or unloaded.</summary>
    ModelBusy,

    /// <summary>The named model was served, and is not any more.</summary>
    ModelUnloaded,

    /// <summary>A model of that name is served already.</summary>
    ModelExists,

    /// <summary>The checkpoint cannot be served, or the server loads none by request.</summary>
    LoadRefused,

    /// <summary>No approved folder has a folder of that name.</summary>
    UnknownDirectory,

    /// <summary>No live request has that id.</summary>
    UnknownRequest,

    /// <summary>A pause ended before the standstill was reached.</summary>
    PauseEnded,

    /// <summary>Events that a client asks for are not kept any more.</summary>
    EventsLost,

    /// <summary>A set field asks for something this server does not offer.</summary>
    Unsupported,

    /// <summary>As many requests wait as the server allows.</summary>
    QueueFull,

    /// <summary>As many prompt tokens wait as the server allows.</summary>
    QueuedTokensFull,

    /// <summary>A live request has the same id.</summary>
    DuplicateRequest,

    /// <summary>The deadline had passed before any work was done.</summary>
    DeadlinePassed,

    /// <summary>The server is stopping.</summary>
    Draining,

    /// <summary>The engine of this model has failed.</summary>
    EngineFailed,

    /// <summary>The first step would come after the deadline, by the rates that the engine measures.</summary>
    WaitTooLong,

    /// <summary>As many requests of this key are live as it may have.</summary>
    KeyConcurrency,

    /// <summary>The key has used up its requests of this minute.</summary>
    KeyRequestRate,

    /// <summary>The key has used up its tokens of this minute.</summary>
    KeyTokenRate,

    /// <summary>The key is not entitled to that service tier.</summary>
    TierNotAllowed,

    /// <summary>An accepted request met a device without memory for it, again and again.</summary>
    OutOfMemory,
}

/// <summary>Why a request was not accepted: which field, which limit, which value.</summary>
/// <param name="Reason">The kind, which decides the status.</param>
/// <param name="Field">The message field, in the wire's spelling, or the limit's name.</param>
/// <param name="Limit">What is allowed, as text ("1..2048", "at most 64 queued requests").</param>
/// <param name="Value">What was given, as text; never more than 64 characters of user input.</param>
public sealed record Rejection(RejectionReason Reason, string Field, string Limit, string Value)
{
    /// <summary>When the client may try again; only for reasons that pass with time.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>One sentence that names field, limit and value.</summary>
    public string Message => $"{Field}: {Limit}; got {Value}";
}
