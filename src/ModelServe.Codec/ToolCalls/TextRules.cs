namespace ModelServe.Codec.ToolCalls;

/// <summary>Which characters count as white space and as parts of names in model output.</summary>
internal static class TextRules
{
    /// <summary>Longest name of a tool, parameter or id, in chars; what runs on longer is text.</summary>
    public const int MaxName = 256;

    /// <summary>Deepest nesting of arguments; deeper ones are text.</summary>
    public const int MaxDepth = 256;

    /// <summary>Space, tab, carriage return, line feed: JSON's own white space.</summary>
    public static bool IsSpace(char value) => value is ' ' or '\t' or '\r' or '\n';

    /// <summary>Whether a Python name may begin so.</summary>
    public static bool BeginsName(char value) => char.IsAsciiLetter(value) || value == '_';

    /// <summary>Whether a Python name may go on so.</summary>
    public static bool ContinuesName(char value) => char.IsAsciiLetterOrDigit(value) || value == '_';
}
