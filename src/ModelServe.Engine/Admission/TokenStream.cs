namespace ModelServe.Engine.Admission;

/// <summary>One request's output: the engine appends, one reader takes everything that has come since it last looked.</summary>
/// <remarks>
/// Bounded by construction: it never holds more than the request's MaxTokens. The engine thread never waits for the reader;
/// a slow reader finds several steps merged into one delta. Exactly one delta carries a finish reason, and it is the last.
/// Disposing cancels the request if it still runs (the blocks are free within one step); it is safe to do so twice.
/// Threads: one reader at a time, any thread; the engine thread writes.
/// </remarks>
public abstract class TokenStream : IDisposable
{
    /// <summary>Name of the request.</summary>
    public abstract string RequestId { get; }

    /// <summary>Times and counts of the request.</summary>
    public abstract RequestTimings Timings { get; }

    /// <summary>Waits until there is something new, then moves all of it into <paramref name="delta"/> (cleared first).</summary>
    /// <returns>True if the delta holds tokens or the ending; false once the ending has been read before, or reading was stopped.</returns>
    public abstract ValueTask<bool> ReadAsync(TokenDelta delta, CancellationToken cancellationToken);

    /// <summary>Ends the reader's wait, and every later one at once: <see cref="ReadAsync"/> returns false. Any thread.</summary>
    /// <remarks>For a reader whose client has gone. The request itself goes on until it is cancelled or disposed.</remarks>
    public abstract void StopReading();

    /// <summary>Asks the engine to end the request with that reason at the next step boundary; the ending still arrives by <see cref="ReadAsync"/>.</summary>
    public abstract void Cancel(FinishReason reason);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Cancels the request if it still runs.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Cancel(FinishReason.Cancelled);
        }
    }
}
