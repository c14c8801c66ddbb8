using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>NFC, NFD, NFKC or NFKD by the runtime's Unicode data, less what that data has and the reference library's lacks.</summary>
internal sealed class UnicodeFormNormalizer(NormalizationForm form) : ITextNormalizer
{
    /// <summary>Refuses to work where the runtime was told to do without Unicode data (InvariantGlobalization).</summary>
    /// <exception cref="UnsupportedFeatureException">Normalization does nothing in this process.</exception>
    public static void RequireUnicodeData(string place)
    {
        if (!string.Equals("e\u0301".Normalize(NormalizationForm.FormC), "\u00E9", StringComparison.Ordinal))
        {
            throw new UnsupportedFeatureException(
                $"{place}: Unicode normalization needs ICU, which this process runs without (InvariantGlobalization). " +
                "Install libicu and leave DOTNET_SYSTEM_GLOBALIZATION_INVARIANT unset.");
        }
    }

    /// <inheritdoc/>
    public string Normalize(string text)
    {
        if (!LaterCodePoints.TryFind(text, 0, out int index, out int width))
        {
            return text.Normalize(form);
        }
        var output = new StringBuilder(text.Length);
        int start = 0;
        do
        {
            output.Append(text[start..index].Normalize(form)).Append(text, index, width);
            start = index + width;
        }
        while (LaterCodePoints.TryFind(text, start, out index, out width));
        return output.Append(text[start..].Normalize(form)).ToString();
    }
}
