using System.Text;
using System.Text.RegularExpressions;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Normalizing;

/// <summary>Replace with a regular expression; the content is literal.</summary>
internal sealed class RegexReplacement(Regex regex, string content) : ITextNormalizer
{
    /// <inheritdoc/>
    public string Normalize(string text)
    {
        AstralShadow? shadow = AstralShadow.IsNeeded(text) ? AstralShadow.Of(text) : null;
        ReadOnlySpan<char> seen = shadow is null ? text : shadow.Chars;
        var output = new StringBuilder(text.Length);
        int previous = 0;
        foreach (ValueMatch match in regex.EnumerateMatches(seen))
        {
            int start = shadow?.Original(match.Index) ?? match.Index;
            output.Append(text, previous, start - previous).Append(content);
            previous = shadow?.Original(match.Index + match.Length) ?? match.Index + match.Length;
        }
        return output.Append(text, previous, text.Length - previous).ToString();
    }
}
