using System.Globalization;
using System.Text.Json;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Reads single values of a JSON object; every number has a range, and what is out of it is named.</summary>
/// <remarks>A null value counts as absent, as it does for the libraries that write these files.</remarks>
internal sealed class ConfigFields
{
    private readonly JsonElement _object;
    private readonly string _file;
    private readonly string _prefix;

    /// <summary>The fields of <paramref name="element"/>, an object in <paramref name="file"/> below <paramref name="prefix"/>.</summary>
    public ConfigFields(JsonElement element, string file, string prefix = "")
    {
        _object = element;
        _file = file;
        _prefix = prefix;
    }

    /// <summary>A required whole number.</summary>
    public int Int(string name, int min, int max) => IntOr(name, min, max, null);

    /// <summary>A whole number, or <paramref name="absent"/>.</summary>
    public int IntOr(string name, int min, int max, int? absent)
    {
        if (Find(name) is not { } value)
        {
            return absent ?? throw Refuse(name, Range(min, max), "nothing");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= min && number <= max
            ? number
            : throw Refuse(name, Range(min, max), value.GetRawText());
    }

    /// <summary>A number, or <paramref name="absent"/>; a null <paramref name="absent"/> makes it required.</summary>
    public double Double(string name, double min, double max, double? absent)
    {
        if (Find(name) is not { } value)
        {
            return absent ?? throw Refuse(name, Range(min, max), "nothing");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= min && number <= max
            ? number
            : throw Refuse(name, Range(min, max), value.GetRawText());
    }

    /// <summary>A truth value, or <paramref name="absent"/>.</summary>
    public bool Bool(string name, bool absent) => Find(name) switch
    {
        null => absent,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { } other => throw Refuse(name, "true or false", other.GetRawText()),
    };

    /// <summary>A text, or null.</summary>
    public string? Text(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { } other => throw Refuse(name, "a string", other.GetRawText()),
    };

    /// <summary>A list of texts; empty if absent.</summary>
    public IReadOnlyList<string> Texts(string name) => Find(name) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } list when list.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) =>
            [.. list.EnumerateArray().Select(item => item.GetString()!)],
        { } other => throw Refuse(name, "a list of strings", other.GetRawText()),
    };

    /// <summary>A nested object, or null.</summary>
    public ConfigFields? Object(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => new ConfigFields(value, _file, $"{_prefix}{name}."),
        { } other => throw Refuse(name, "an object", other.GetRawText()),
    };

    /// <summary>Whether a field is set to anything but null.</summary>
    public bool Has(string name) => Find(name) is not null;

    /// <summary>The refusal of a field's value.</summary>
    public CheckpointException Refuse(string name, string limit, string value) =>
        new(_file, _prefix + name, limit, CheckpointException.Shorten(value));

    private static string Range<T>(T min, T max)
        where T : IFormattable =>
        $"a number in {min.ToString(null, CultureInfo.InvariantCulture)}..{max.ToString(null, CultureInfo.InvariantCulture)}";

    private JsonElement? Find(string name) =>
        _object.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
