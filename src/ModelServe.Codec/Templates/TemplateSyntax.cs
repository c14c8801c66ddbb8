namespace ModelServe.Codec.Templates;

/// <summary>How a template that cannot be parsed is refused: always by name and line.</summary>
internal static class TemplateSyntax
{
    /// <summary>The exception for a construct at <paramref name="line"/>.</summary>
    public static UnsupportedFeatureException Error(int line, string message) => new($"chat template, line {line}: {message}");

    /// <summary>Whether Python counts the character as white space.</summary>
    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';
}
