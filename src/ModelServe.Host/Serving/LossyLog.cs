using System.Text;

namespace ModelServe.Host.Serving;

/// <summary>Standard error of a server: a line that cannot be written, because the disk is full or the reader gone, is counted and not an error.</summary>
/// <remarks>Once lines go through again, the first says how many were lost. Thread-safe.</remarks>
internal sealed class LossyLog(TextWriter inner) : TextWriter
{
    private readonly Lock _lock = new();
    private long _lost;

    /// <inheritdoc />
    public override Encoding Encoding => inner.Encoding;

    /// <summary>Writes that were lost and not told yet.</summary>
    public long Lost
    {
        get
        {
            lock (_lock)
            {
                return _lost;
            }
        }
    }

    /// <inheritdoc />
    public override void Write(char value) => Try(() => inner.Write(value));

    /// <inheritdoc />
    public override void Write(string? value) => Try(() => inner.Write(value));

    /// <inheritdoc />
    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    /// <inheritdoc />
    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    /// <inheritdoc />
    public override void Flush() => Try(inner.Flush);

    private void Try(Action write)
    {
        lock (_lock)
        {
            try
            {
                write();
                if (_lost > 0)
                {
                    long lost = _lost;
                    _lost = 0;
                    inner.WriteLine($"{lost} lines of the log were lost before this one");
                }
            }
            catch (IOException)
            {
                _lost++;
            }
        }
    }
}
