namespace ModelServe.Engine.Admission;

/// <summary>Why a sequence ended; every accepted request ends with exactly one of these.</summary>
public enum FinishReason
{
    /// <summary>The sequence has not ended.</summary>
    None = 0,

    /// <summary>The model produced a stop token id, or a stop string was matched on the decoded text.</summary>
    Stop,

    /// <summary>The requested number of new tokens was reached.</summary>
    Length,

    /// <summary>The context window of the model is full.</summary>
    ContextFull,

    /// <summary>The client went away or asked to abort.</summary>
    Cancelled,

    /// <summary>The request's deadline passed, queued or running.</summary>
    Deadline,

    /// <summary>The reader did not take its tokens for longer than the server allows.</summary>
    SlowReader,

    /// <summary>The server is stopping and the drain time is over.</summary>
    Drained,

    /// <summary>The execution of this sequence failed (for example its logits were not finite).</summary>
    Error,

    /// <summary>There was no memory to go on with this sequence; a later try may find some.</summary>
    Exhausted,
}
