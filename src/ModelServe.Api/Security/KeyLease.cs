namespace ModelServe.Api.Security;

/// <summary>What one request holds of its key's limits, until each of its sequences has ended. Thread-safe.</summary>
internal sealed class KeyLease(KeyUsage usage, int sequences, long reserved)
{
    private readonly int _sequences = sequences;
    private int _left = sequences;
    private long _used;

    /// <summary>The engine took none of it: everything comes back.</summary>
    public void Undo() => usage.Undo(_sequences, reserved);

    /// <summary>One sequence has ended; once for each.</summary>
    /// <param name="tokens">Prompt and output tokens that it used.</param>
    public void EndOne(long tokens)
    {
        Interlocked.Add(ref _used, tokens);
        // Who ends last sees what all the others have added.
        usage.EndOne(Interlocked.Decrement(ref _left) == 0 ? reserved - Volatile.Read(ref _used) : 0);
    }
}
