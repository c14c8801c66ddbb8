using System.Text;
using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Whether a given value fits what else holds for it. Pure.</summary>
internal static class SchemaConstants
{
    /// <summary>Whether a constant is admitted by the other keywords of its shape.</summary>
    /// <exception cref="InvalidGrammarException">The constant is an array or object beside keywords that bound those.</exception>
    public static bool Admits(SchemaShape shape, JsonElement value, StringRules strings)
    {
        if ((shape.Kinds & KindOf(value)) == 0)
        {
            return false;
        }

        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                string text = value.GetString()!;
                int length = text.EnumerateRunes().Count();
                return length >= shape.MinLength && length <= (shape.MaxLength ?? int.MaxValue)
                    && ((shape.Patterns.Count == 0 && shape.ForbiddenTexts.Count == 0) || strings.Content(shape).Matches(Encoding.UTF8.GetBytes(JsonSpelling.Spell(text))));
            case JsonValueKind.Number:
                if (shape.Multiples.Count > 0)
                {
                    throw new InvalidGrammarException("enum", "numbers beside 'multipleOf' are not supported", isUnsupported: true);
                }

                NumberRange.Bound? number = NumberRange.Bound.Parse(value.GetRawText(), false);
                return number is { } n
                    && (shape.Low is not { } low || (n.CompareTo(low) is var above && (above > 0 || (above == 0 && !low.IsExclusive))))
                    && (shape.High is not { } high || (n.CompareTo(high) is var below && (below < 0 || (below == 0 && !high.IsExclusive))));
            case JsonValueKind.Object when shape.BoundsObjects:
            case JsonValueKind.Array when shape.BoundsArrays:
                throw new InvalidGrammarException("enum", "arrays and objects beside keywords that bound them are not supported", isUnsupported: true);
            default:
                return true;
        }
    }

    /// <summary>The kind of a value.</summary>
    public static ValueKinds KindOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => ValueKinds.Null,
        JsonValueKind.True or JsonValueKind.False => ValueKinds.Boolean,
        JsonValueKind.Number => NumberRange.Bound.Parse(value.GetRawText(), false) is { Fraction.Length: > 0 } ? ValueKinds.Fraction : ValueKinds.Integer,
        JsonValueKind.String => ValueKinds.String,
        JsonValueKind.Array => ValueKinds.Array,
        _ => ValueKinds.Object,
    };
}
