using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.Templates;

namespace ModelServe.Host.Commands;

/// <summary>
/// Standard input and output as JSON: one value a line in, one a line out. A line that cannot be answered gives an error line, and the
/// next one is read. Half a surrogate pair, which JSON can write and UTF-8 cannot, counts as U+FFFD.
/// </summary>
internal static class JsonLines
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };
    private static readonly JsonSerializerOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Answers every line of standard input.</summary>
    /// <param name="answer">
    /// Makes the answer. A <see cref="FormatException"/> is reported with the line's number, a <see cref="TemplateException"/>
    /// with its message alone.
    /// </param>
    public static void Answer(Func<JsonNode?, JsonNode> answer)
    {
        using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
        using StreamWriter output = OpenOutput();
        for (int number = 1; input.ReadLine() is { } line; number++)
        {
            Write(output, AnswerLine(answer, line, number));
            output.Flush();
        }
    }

    /// <summary>All of standard input.</summary>
    public static string ReadAll()
    {
        using var input = new StreamReader(Console.OpenStandardInput(), Encoding.UTF8);
        return input.ReadToEnd();
    }

    /// <summary>Writes one line to standard output.</summary>
    public static void Write(JsonNode value)
    {
        using StreamWriter output = OpenOutput();
        Write(output, value);
    }

    private static StreamWriter OpenOutput() => new(Console.OpenStandardOutput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));

    private static void Write(StreamWriter output, JsonNode value) => output.Write(value.ToJsonString(Compact) + "\n");

    private static JsonNode AnswerLine(Func<JsonNode?, JsonNode> answer, string line, int number)
    {
        try
        {
            return answer(JsonNode.Parse(WithoutHalfPairs(line), documentOptions: Strict));
        }
        catch (JsonException exception)
        {
            return Error($"line {number}: not JSON: {exception.Message}");
        }
        catch (FormatException exception)
        {
            return Error($"line {number}: {exception.Message}");
        }
        catch (TemplateException exception)
        {
            return Error(exception.Message);
        }
    }

    private static JsonObject Error(string message) => new() { ["err"] = message };

    // The JSON reader refuses escapes of half a pair.
    private static string WithoutHalfPairs(string line)
    {
        if (!line.Contains("\\u", StringComparison.Ordinal))
        {
            return line;
        }

        var output = new StringBuilder(line.Length);
        for (int index = 0; index < line.Length; index++)
        {
            char unit = Escaped(line, index);
            bool pair = char.IsHighSurrogate(unit) && char.IsLowSurrogate(Escaped(line, index + 6));
            if (pair)
            {
                output.Append(line, index, 12);
                index += 11;
            }
            else if (char.IsSurrogate(unit))
            {
                output.Append("\\ufffd");
                index += 5;
            }
            else
            {
                // An escaped backslash must not be taken for the beginning of the next escape.
                int length = line[index] == '\\' && index + 1 < line.Length ? 2 : 1;
                output.Append(line, index, length);
                index += length - 1;
            }
        }

        return output.ToString();
    }

    private static char Escaped(string line, int index) =>
        index + 6 <= line.Length && line[index] == '\\' && line[index + 1] == 'u'
        && ushort.TryParse(line.AsSpan(index + 2, 4), System.Globalization.NumberStyles.AllowHexSpecifier, null, out ushort unit) ? (char)unit : '\0';
}
