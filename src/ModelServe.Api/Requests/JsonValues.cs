using System.Text.Json.Nodes;
using Google.Protobuf.WellKnownTypes;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Requests;

/// <summary>Struct values of a message as the JSON nodes that chat templates read. Depth is bounded; numbers are finite.</summary>
/// <remarks>A Struct holds every number as a double: whole ones become integers again, so that a template prints 5, not 5.0.</remarks>
internal static class JsonValues
{
    private const double LargestExactInteger = 9007199254740992;

    /// <summary>The object, or why it is refused.</summary>
    public static Rejection? Read(string field, Struct source, int depth, out JsonObject result)
    {
        result = [];
        if (depth == 0)
        {
            return FieldCheck.Invalid(field, "a shallower JSON value", "one nested too deeply");
        }

        foreach ((string name, Value value) in source.Fields)
        {
            if (Read(field, value, depth - 1, out JsonNode? node) is { } rejection)
            {
                return rejection;
            }

            result[name] = node;
        }

        return null;
    }

    private static Rejection? Read(string field, Value source, int depth, out JsonNode? result)
    {
        result = null;
        switch (source.KindCase)
        {
            case Value.KindOneofCase.NullValue:
                return null;
            case Value.KindOneofCase.BoolValue:
                result = JsonValue.Create(source.BoolValue);
                return null;
            case Value.KindOneofCase.StringValue:
                result = JsonValue.Create(source.StringValue);
                return null;
            case Value.KindOneofCase.NumberValue:
                return ReadNumber(field, source.NumberValue, out result);
            case Value.KindOneofCase.StructValue:
                Rejection? rejection = Read(field, source.StructValue, depth, out JsonObject inner);
                result = inner;
                return rejection;
            case Value.KindOneofCase.ListValue:
                return ReadList(field, source.ListValue, depth, out result);
            default:
                return FieldCheck.Invalid(field, "JSON values with a kind", "one without");
        }
    }

    private static Rejection? ReadNumber(string field, double number, out JsonNode? result)
    {
        result = null;
        if (!double.IsFinite(number))
        {
            return FieldCheck.Invalid(field, "finite numbers", number.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        result = double.IsInteger(number) && Math.Abs(number) <= LargestExactInteger
            ? JsonValue.Create((long)number)
            : JsonValue.Create(number);
        return null;
    }

    private static Rejection? ReadList(string field, ListValue source, int depth, out JsonNode? result)
    {
        JsonArray array = [];
        result = array;
        if (depth == 0)
        {
            return FieldCheck.Invalid(field, "a shallower JSON value", "one nested too deeply");
        }

        foreach (Value value in source.Values)
        {
            if (Read(field, value, depth - 1, out JsonNode? node) is { } rejection)
            {
                return rejection;
            }

            array.Add(node);
        }

        return null;
    }
}
