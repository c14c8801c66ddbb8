namespace ModelServe.Codec.Splitting;

/// <summary>What <c>(?i:…)</c> makes of a letter: only ASCII letters, with the two non-ASCII characters that fold to one.</summary>
internal static class CaseFolds
{
    /// <summary>Whether case folding may change the set of matches of this char.</summary>
    public static bool HasCase(char value) => char.IsLetter(value) || value == '\u0345';

    /// <summary>The members of the class that the char matches, or null where this project does not know them.</summary>
    public static string? Variants(char value)
    {
        if (!char.IsAsciiLetter(value))
        {
            return null;
        }
        string both = $"{char.ToLowerInvariant(value)}{char.ToUpperInvariant(value)}";
        return both switch
        {
            "sS" => "sS\u017F",
            "kK" => "kK\u212A",
            _ => both,
        };
    }
}
