using System.Globalization;
using System.Text.Json;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>The fields of one JSON object as typed values; the first wrong one, or one that nobody asked for, is kept as the rejection.</summary>
/// <remarks>A field that is null counts as absent: clients write the one for the other. After an error every value is absent or default.</remarks>
internal sealed class JsonFields(JsonElement source, string path = "")
{
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);
    private Rejection? _error;

    /// <summary>The first error so far.</summary>
    public Rejection? Error => _error;

    /// <summary>The full name of a field.</summary>
    public string PathOf(string name) => path.Length == 0 ? name : $"{path}.{name}";

    /// <summary>Keeps an error, unless there is one already.</summary>
    public void Refuse(Rejection? rejection) => _error ??= rejection;

    /// <summary>Keeps an error about a field.</summary>
    public void Refuse(string name, string limit, string value) => Refuse(FieldCheck.Invalid(PathOf(name), limit, value));

    /// <summary>Refuses a field that is known, and not offered with that value.</summary>
    public void RefuseUnsupported(string name, string limit, string value) =>
        Refuse(new Rejection(RejectionReason.Unsupported, PathOf(name), limit, value));

    /// <summary>The field's value, if it is there and not null.</summary>
    public bool TryGet(string name, out JsonElement value)
    {
        _asked.Add(name);
        return source.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;
    }

    /// <summary>The field as a value of that kind.</summary>
    public JsonElement? Of(string name, JsonValueKind kind, string called)
    {
        if (!TryGet(name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind == kind)
        {
            return value;
        }

        Refuse(name, called, Show(value));
        return null;
    }

    /// <summary>A string.</summary>
    public string? Text(string name) => Of(name, JsonValueKind.String, "a string")?.GetString();

    /// <summary>A string of at most a length.</summary>
    public string? Text(string name, int limit)
    {
        string? text = Text(name);
        Refuse(text is null ? null : FieldCheck.Length(PathOf(name), text, 1, limit));
        return text;
    }

    /// <summary>true or false.</summary>
    public bool? Flag(string name)
    {
        if (!TryGet(name, out JsonElement value))
        {
            return null;
        }

        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }

        Refuse(name, "true or false", Show(value));
        return null;
    }

    /// <summary>A whole number in a range; 3.0 is one.</summary>
    public int? Integer(string name, int low, int high)
    {
        long? value = Long(name);
        if (value is { } given && (given < low || given > high))
        {
            Refuse(name, $"an integer in [{FieldCheck.Text(low)}, {FieldCheck.Text(high)}]", given.ToString(CultureInfo.InvariantCulture));
            return null;
        }

        return (int?)value;
    }

    /// <summary>A whole number of 64 bits.</summary>
    public long? Long(string name)
    {
        if (Of(name, JsonValueKind.Number, "an integer") is not { } value)
        {
            return null;
        }

        if (value.TryGetInt64(out long whole))
        {
            return whole;
        }

        if (value.TryGetDouble(out double number) && double.IsInteger(number) && Math.Abs(number) < 9e15)
        {
            return (long)number;
        }

        Refuse(name, "an integer", Show(value));
        return null;
    }

    /// <summary>A finite number.</summary>
    public float? Number(string name)
    {
        if (Of(name, JsonValueKind.Number, "a number") is not { } value)
        {
            return null;
        }

        if (value.TryGetDouble(out double number) && float.IsFinite((float)number))
        {
            return (float)number;
        }

        Refuse(name, "a finite number", Show(value));
        return null;
    }

    /// <summary>The fields of an object inside.</summary>
    public JsonFields? Object(string name) =>
        Of(name, JsonValueKind.Object, "an object") is { } value ? new JsonFields(value, PathOf(name)) : null;

    /// <summary>Ends the reading of an object inside: its errors are this one's.</summary>
    public void Close(JsonFields? inside) => Refuse(inside?.Finish());

    /// <summary>The first error; the first field that nobody asked for is one.</summary>
    public Rejection? Finish()
    {
        if (_error is null)
        {
            foreach (JsonProperty field in source.EnumerateObject())
            {
                if (!_asked.Contains(field.Name))
                {
                    string name = FieldCheck.Quote(field.Name).Trim('\'');
                    return _error = new Rejection(RejectionReason.Unsupported, PathOf(name), "a field that this server knows", "an unknown one");
                }
            }
        }

        return _error;
    }

    /// <summary>A value as messages show it.</summary>
    public static string Show(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => FieldCheck.Quote(value.GetString()!),
        JsonValueKind.Number => FieldCheck.Quote(value.GetRawText()).Trim('\''),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        JsonValueKind.Null => "null",
        JsonValueKind.Array => "a list",
        _ => "an object",
    };
}
