namespace ModelServe.Engine.Running;

/// <summary>How many prompt tokens leave the queue in a second while somebody waits: prefill, decode and slots together, as measured.</summary>
/// <remarks>
/// An exponentially weighted mean over about ten seconds of such time. It counts prompt tokens as they were sent, cached ones too,
/// so that it can be held against prompts that wait. Written by the engine thread, read by any.
/// </remarks>
internal sealed class QueueRate
{
    private const double MemorySeconds = 10;
    private const double EnoughSeconds = 2;

    private readonly TimeProvider _time;
    private long _lastAt;
    private long _lastTotal;
    private bool _waited;
    private double _mean;
    private double _weight;
    private double _seen;
    private double _published;

    /// <summary>Makes a measure that knows nothing yet.</summary>
    public QueueRate(TimeProvider time) => _time = time;

    /// <summary>Tokens a second; null while too little has been seen.</summary>
    public double? TokensPerSecond => Volatile.Read(ref _published) is > 0 and var rate ? rate : null;

    /// <summary>Takes a look after a step.</summary>
    /// <param name="total">Prompt tokens that have left the queue since start.</param>
    /// <param name="somebodyWaits">Whether the queue is not empty now.</param>
    public void Observe(long total, bool somebodyWaits)
    {
        var now = _time.GetTimestamp();
        if (_waited)
        {
            var seconds = _time.GetElapsedTime(_lastAt, now).TotalSeconds;
            if (seconds > 0)
            {
                var share = 1 - Math.Exp(-seconds / MemorySeconds);
                _mean += share * (((total - _lastTotal) / seconds) - _mean);
                _weight += share * (1 - _weight);
                _seen += seconds;
                if (_seen >= EnoughSeconds)
                {
                    Volatile.Write(ref _published, _mean / _weight);
                }
            }
        }

        (_lastAt, _lastTotal, _waited) = (now, total, somebodyWaits);
    }
}
