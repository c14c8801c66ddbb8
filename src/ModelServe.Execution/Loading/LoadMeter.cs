namespace ModelServe.Execution.Loading;

/// <summary>Adds up what several threads have read and reports it, one report at a time.</summary>
internal sealed class LoadMeter(long total, IProgress<LoadProgress>? progress)
{
    private readonly Lock _reporting = new();
    private long _done;

    /// <summary>That many more bytes of a file were read.</summary>
    public void Add(string file, long bytes)
    {
        lock (_reporting)
        {
            _done += bytes;
            progress?.Report(new LoadProgress(file, _done, total));
        }
    }
}
