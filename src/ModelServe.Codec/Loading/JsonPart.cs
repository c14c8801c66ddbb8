using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;

namespace ModelServe.Codec.Loading;

/// <summary>
/// A value inside a JSON file of the checkpoint that knows where it stands, so that every complaint names file and field.
/// Valid as long as the document it was read from.
/// </summary>
internal readonly struct JsonPart(JsonElement element, string file, string path)
{
    /// <summary>Most bytes of a file that is read: far more than any tokenizer known, and less than an array may hold.</summary>
    private const long LargestFile = 1L << 29;

    /// <summary>The value itself.</summary>
    public JsonElement Element { get; } = element;

    /// <summary>Where the value stands, as <c>tokenizer.json: model.merges[3]</c>.</summary>
    public string Place => path.Length == 0 ? file : $"{file}: {path}";

    /// <summary>Whether the value is JSON null (or was never there).</summary>
    public bool IsNull => Element.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>Whether the value is a JSON string.</summary>
    public bool IsText => Element.ValueKind == JsonValueKind.String;

    /// <summary>Whether the value is a JSON object.</summary>
    public bool IsObject => Element.ValueKind == JsonValueKind.Object;

    /// <summary>Whether the value is a JSON array.</summary>
    public bool IsArray => Element.ValueKind == JsonValueKind.Array;

    /// <summary>Reads a whole file, or gives null where it does not exist.</summary>
    /// <exception cref="InvalidTextModelException">The file is not a JSON object.</exception>
    public static JsonDocument? ReadOptional(string directory, string fileName)
    {
        string full = Path.Combine(directory, fileName);
        if (!File.Exists(full))
        {
            return null;
        }
        if (new FileInfo(full).Length > LargestFile)
        {
            throw new InvalidTextModelException($"{full}: the file has {new FileInfo(full).Length} bytes, more than {LargestFile}.");
        }
        try
        {
            JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(full));
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                document.Dispose();
                throw new InvalidTextModelException($"{full}: the file must hold one JSON object.");
            }
            return document;
        }
        catch (JsonException failure)
        {
            throw new InvalidTextModelException($"{full}: not valid JSON: {failure.Message}", failure);
        }
    }

    /// <summary>The member of that name; null-valued where it is absent.</summary>
    public JsonPart Child(string name)
    {
        Expect(JsonValueKind.Object);
        string childPath = path.Length == 0 ? name : $"{path}.{name}";
        return new JsonPart(Element.TryGetProperty(name, out JsonElement child) ? child : default, file, childPath);
    }

    /// <summary>A value somewhere inside this one, which stands for it in complaints.</summary>
    public JsonPart Within(JsonElement inner) => new(inner, file, path);

    /// <summary>The members of an object in file order.</summary>
    public IEnumerable<(string Name, JsonPart Value)> Members()
    {
        Expect(JsonValueKind.Object);
        foreach (JsonProperty member in Element.EnumerateObject())
        {
            yield return (member.Name, new JsonPart(member.Value, file, $"{path}[\"{member.Name}\"]"));
        }
    }

    /// <summary>The items of an array in file order.</summary>
    public IEnumerable<JsonPart> Items()
    {
        Expect(JsonValueKind.Array);
        int index = 0;
        foreach (JsonElement item in Element.EnumerateArray())
        {
            yield return new JsonPart(item, file, string.Create(CultureInfo.InvariantCulture, $"{path}[{index}]"));
            index++;
        }
    }

    /// <summary>The value as text.</summary>
    public string Text()
    {
        Expect(JsonValueKind.String);
        try
        {
            return Element.GetString()!;
        }
        catch (InvalidOperationException failure)
        {
            throw new InvalidTextModelException($"{Place}: the text is not valid Unicode (half a surrogate pair).", failure);
        }
    }

    /// <summary>The member as text; null where it is absent or null.</summary>
    public string? OptionalText(string name)
    {
        JsonPart child = Child(name);
        return child.IsNull ? null : child.Text();
    }

    /// <summary>The value as a whole number of 32 bits.</summary>
    public int Integer()
    {
        Expect(JsonValueKind.Number);
        return Element.TryGetInt32(out int value) ? value : throw Wrong($"{Element.GetRawText()} is not a 32-bit integer");
    }

    /// <summary>The value as a number.</summary>
    public double Number()
    {
        Expect(JsonValueKind.Number);
        return Element.GetDouble();
    }

    /// <summary>The member as true or false; <paramref name="absent"/> where it is absent or null.</summary>
    public bool Flag(string name, bool absent)
    {
        JsonPart child = Child(name);
        if (child.IsNull)
        {
            return absent;
        }
        return child.Element.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw child.Wrong($"expected true or false, found {child.Element.ValueKind}"),
        };
    }

    /// <summary>The member <c>type</c> of a tagged object.</summary>
    public string Tag() => Child("type").Text();

    /// <summary>The exception that says what is wrong with this value.</summary>
    public InvalidTextModelException Wrong(string what) => new($"{Place}: {what}.");

    /// <summary>The exception that says which feature this value asks for in vain.</summary>
    public UnsupportedFeatureException Unsupported(string feature) => new($"{Place}: {feature} is not supported.");

    private void Expect(JsonValueKind kind)
    {
        if (Element.ValueKind != kind)
        {
            ThrowKind(kind);
        }
    }

    [DoesNotReturn]
    private void ThrowKind(JsonValueKind kind)
    {
        string found = Element.ValueKind == JsonValueKind.Undefined ? "nothing" : Element.ValueKind.ToString();
        throw Wrong($"expected {kind}, found {found}");
    }
}
