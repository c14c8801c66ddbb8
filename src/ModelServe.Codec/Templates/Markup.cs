namespace ModelServe.Codec.Templates;

/// <summary>Text marked as safe HTML: printed as it is, but what is added to it gets escaped.</summary>
internal sealed class Markup(string text)
{
    /// <summary>The text.</summary>
    public string Text => text;

    /// <summary>Escapes &amp;, &lt;, &gt; and quotes.</summary>
    public static string Escape(string text) => text
        .Replace("&", "&amp;", StringComparison.Ordinal)
        .Replace(">", "&gt;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal)
        .Replace("'", "&#39;", StringComparison.Ordinal)
        .Replace("\"", "&#34;", StringComparison.Ordinal);
}
