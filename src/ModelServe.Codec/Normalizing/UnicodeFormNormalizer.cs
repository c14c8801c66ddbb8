using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// NFC, NFD, NFKC or NFKD by this project's own data (<see cref="NormalizationData"/>), the same on every machine. Text below the
/// first code point that the form concerns is passed over at once; of other text only the stretches around such code points
/// are looked at closely. Linear time. Immutable and thread-safe.
/// </summary>
internal sealed class UnicodeFormNormalizer(NormalizationForm form) : ITextNormalizer
{
    private readonly NormalizationData _data = NormalizationData.Unicode9;

    // Code points below are inert in the form: combining marks begin at U+0300, canonical decompositions at U+00C0,
    // compatibility ones at U+00A0.
    private readonly char _lastInert = form switch
    {
        NormalizationForm.FormC => '\u02FF',
        NormalizationForm.FormD => '\u00BF',
        _ => '\u009F',
    };

    /// <inheritdoc/>
    public string Normalize(string text)
    {
        int position = text.AsSpan().IndexOfAnyExceptInRange('\0', _lastInert);
        if (position < 0)
        {
            return text;
        }
        NormalizationRun? run = null;
        StringBuilder? output = null;
        int copied = 0;
        int boundary = Math.Max(0, position - 1);
        while (position < text.Length)
        {
            if (IsBoundary(text, position, out int width))
            {
                boundary = position;
                position += width;
                continue;
            }
            int end = position + width;
            while (end < text.Length && !IsBoundary(text, end, out width))
            {
                end += width;
            }
            run ??= new NormalizationRun(form);
            ReadOnlySpan<char> stretch = text.AsSpan(boundary, end - boundary);
            ReadOnlySpan<char> normalized = run.Normalize(stretch);
            if (!normalized.SequenceEqual(stretch))
            {
                output ??= new StringBuilder(text.Length);
                output.Append(text, copied, boundary - copied).Append(normalized);
                copied = end;
            }
            position = boundary = end;
        }
        return output is null ? text : output.Append(text, copied, text.Length - copied).ToString();
    }

    private bool IsBoundary(string text, int index, out int width)
    {
        char value = text[index];
        if (value <= _lastInert)
        {
            width = 1;
            return true;
        }
        Rune.DecodeFromUtf16(text.AsSpan(index), out Rune rune, out width);
        return _data.IsBoundary(rune.Value, form);
    }
}
