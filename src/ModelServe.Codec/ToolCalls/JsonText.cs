using System.Globalization;
using System.Text;

namespace ModelServe.Codec.ToolCalls;

/// <summary>Writes and reads the inside of JSON strings; half a surrogate pair passes through unchanged.</summary>
internal static class JsonText
{
    /// <summary>Appends one char as it stands inside a JSON string.</summary>
    public static void AppendEscaped(StringBuilder output, char value)
    {
        switch (value)
        {
            case '"':
                output.Append("\\\"");
                break;
            case '\\':
                output.Append("\\\\");
                break;
            case '\n':
                output.Append("\\n");
                break;
            case '\r':
                output.Append("\\r");
                break;
            case '\t':
                output.Append("\\t");
                break;
            case < ' ':
                output.Append("\\u").Append(((int)value).ToString("x4", CultureInfo.InvariantCulture));
                break;
            default:
                output.Append(value);
                break;
        }
    }

    /// <summary>The text as a JSON string, quotes included.</summary>
    public static string Quote(ReadOnlySpan<char> text)
    {
        var output = new StringBuilder(text.Length + 2).Append('"');
        foreach (char value in text)
        {
            AppendEscaped(output, value);
        }

        return output.Append('"').ToString();
    }

    /// <summary>The text that the inside of a valid JSON string stands for.</summary>
    public static string Unescape(StringBuilder inside)
    {
        string text = inside.ToString();
        if (!text.Contains('\\', StringComparison.Ordinal))
        {
            return text;
        }

        var output = new StringBuilder(text.Length);
        for (int index = 0; index < text.Length; index++)
        {
            if (text[index] != '\\')
            {
                output.Append(text[index]);
                continue;
            }

            index++;
            if (text[index] == 'u')
            {
                output.Append((char)ushort.Parse(text.AsSpan(index + 1, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture));
                index += 4;
            }
            else
            {
                output.Append(text[index] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', 'b' => '\b', 'f' => '\f', char other => other });
            }
        }

        return output.ToString();
    }
}
