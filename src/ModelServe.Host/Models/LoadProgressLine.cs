using System.Globalization;
using ModelServe.Execution.Loading;
using ModelServe.Host.Options;

namespace ModelServe.Host.Models;

/// <summary>Shows how far a large checkpoint has loaded, a line each tenth, on standard error.</summary>
/// <remarks>Checkpoints below 256 MiB load in a blink and print nothing.</remarks>
internal sealed class LoadProgressLine(string model, TextWriter writer) : IProgress<LoadProgress>
{
    private const long QuietBelowBytes = 256L << 20;
    private int _tenths;

    /// <inheritdoc />
    public void Report(LoadProgress value)
    {
        int tenths = value.BytesTotal == 0 ? 10 : (int)(value.BytesRead * 10 / value.BytesTotal);
        if (value.BytesTotal >= QuietBelowBytes && tenths > _tenths)
        {
            _tenths = tenths;
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"loading {model}: {tenths * 10} % of {ByteCount.Format(value.BytesTotal)} ({Path.GetFileName(value.File)})"));
        }
    }
}
