using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>NFC, NFD, NFKC or NFKD by the runtime's Unicode data.</summary>
internal sealed class UnicodeFormNormalizer(NormalizationForm form) : ITextNormalizer
{
    // The runtime refuses this noncharacter although it takes part in no composition.
    private const char Refused = '\uFFFE';

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
        if (!text.Contains(Refused, StringComparison.Ordinal))
        {
            return text.Normalize(form);
        }
        return string.Join(Refused, text.Split(Refused).Select(part => part.Normalize(form)));
    }
}
