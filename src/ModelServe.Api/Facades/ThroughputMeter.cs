namespace ModelServe.Api.Facades;

/// <summary>Tokens a second between two looks at a model's count. Thread-safe.</summary>
internal sealed class ThroughputMeter(TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (long Timestamp, long Tokens)> _before = new(StringComparer.Ordinal);

    /// <summary>The rate since the last look at that model; 0 at the first, and after the model was loaded again.</summary>
    public double Since(string model, long tokens)
    {
        lock (_gate)
        {
            long now = time.GetTimestamp();
            bool known = _before.TryGetValue(model, out (long Timestamp, long Tokens) before);
            double seconds = known ? time.GetElapsedTime(before.Timestamp, now).TotalSeconds : 0;
            _before[model] = (now, tokens);
            return seconds > 0 && tokens >= before.Tokens ? (tokens - before.Tokens) / seconds : 0;
        }
    }
}
