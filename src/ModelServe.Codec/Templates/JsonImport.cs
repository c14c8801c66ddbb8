using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Codec.Templates;

/// <summary>Turns JSON into template values; ints and floats stay apart as they are written.</summary>
internal static class JsonImport
{
    /// <summary>The value.</summary>
    /// <exception cref="TemplateException">A name stands twice in one object, or a number is out of range.</exception>
    public static object? Convert(JsonNode? node) => node switch
    {
        null => null,
        JsonObject entries => Convert(entries),
        JsonArray items => new TemplateList([.. items.Select(Convert)]),
        _ => Scalar((JsonValue)node),
    };

    /// <summary>The object as a dict.</summary>
    public static TemplateDict Convert(JsonObject entries)
    {
        try
        {
            var dict = new TemplateDict(entries.Count);
            foreach ((string name, JsonNode? value) in entries)
            {
                dict.Set(name, Convert(value));
            }

            return dict;
        }
        catch (ArgumentException exception)
        {
            throw new TemplateException("a JSON object repeats a name: " + exception.Message, exception);
        }
    }

    private static object? Scalar(JsonValue value) => value.GetValueKind() switch
    {
        JsonValueKind.String => value.GetValue<string>(),
        JsonValueKind.True => Boxed.True,
        JsonValueKind.False => Boxed.False,
        JsonValueKind.Null => null,
        _ => Number(value),
    };

    private static object Number(JsonValue value)
    {
        if (value.TryGetValue(out double real) && !value.TryGetValue(out JsonElement _) && !value.TryGetValue(out long _))
        {
            return real;
        }

        string text = value.ToJsonString();
        if (!text.AsSpan().ContainsAny('.', 'e', 'E'))
        {
            return text.Length <= 1000
                ? PythonNumbers.Normalize(BigInteger.Parse(text, CultureInfo.InvariantCulture))
                : throw new TemplateException("a JSON number of more than 1000 digits");
        }

        return double.Parse(text, CultureInfo.InvariantCulture);
    }
}
