namespace ModelServe.Client;

/// <summary>Why a server refused a request, by name. Names that this client does not know are <see cref="Other"/>.</summary>
public enum RefusalReason
{
    /// <summary>A reason that is newer than this client; see <see cref="RequestRefusedException.ReasonName"/>.</summary>
    Other,

    /// <summary>A field holds a value outside its range, of the wrong kind, or in a combination that cannot be.</summary>
    InvalidField,

    /// <summary>The prompt has no token.</summary>
    EmptyPrompt,

    /// <summary>The prompt alone fills the context window.</summary>
    PromptTooLong,

    /// <summary>The request can never fit the key-value cache.</summary>
    ExceedsCache,

    /// <summary>The named model is not known there.</summary>
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

    /// <summary>Events that were asked for are not kept any more.</summary>
    EventsLost,

    /// <summary>A set field asks for something that server does not offer.</summary>
    Unsupported,

    /// <summary>As many requests wait as the server allows.</summary>
    QueueFull,

    /// <summary>As many prompt tokens wait as the server allows.</summary>
    QueuedTokensFull,

    /// <summary>The first step would come after the deadline.</summary>
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

    /// <summary>A live request has the same id.</summary>
    DuplicateRequest,

    /// <summary>The deadline had passed before any work was done.</summary>
    DeadlinePassed,

    /// <summary>The server is stopping.</summary>
    Draining,

    /// <summary>The engine of this model has failed.</summary>
    EngineFailed,
}
