using System.Globalization;
using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>Proves that no value fits two options of a <c>oneOf</c>, so that exactly one holds whenever any does. Pure.</summary>
internal static class SchemaDisjointness
{
    /// <summary>Refuses options that cannot be told apart.</summary>
    /// <exception cref="InvalidGrammarException">Two options may hold at once, as far as can be seen.</exception>
    public static void Require(IReadOnlyList<SchemaAt> options, IReadOnlyList<SchemaAt> rest, SchemaReader reader, string place)
    {
        var shapes = options.Select(option => Shapes([.. rest, option], reader, depth: 0)).ToArray();
        for (int i = 0; i < shapes.Length; i++)
        {
            for (int j = i + 1; j < shapes.Length; j++)
            {
                if (shapes[i].Any(a => shapes[j].Any(b => !AreDisjoint(a, b, reader))))
                {
                    throw new InvalidGrammarException(
                        place,
                        string.Create(CultureInfo.InvariantCulture, $"options {i} and {j} may hold at once, which is not supported; tell them apart by type, const or required names, or use anyOf"),
                        isUnsupported: true);
                }
            }
        }
    }

    // One shape for each way through nested combinations; a shape that stands for more than it should only makes the proof harder.
    private static List<SchemaShape> Shapes(IReadOnlyList<SchemaAt> schemas, SchemaReader reader, int depth)
    {
        SchemaShape? shape = reader.Read(schemas, out List<(List<SchemaAt> Options, bool IsExclusive, string Place)> choices);
        if (shape is null)
        {
            return [];
        }

        if (choices.Count != 1 || depth == 2 || schemas.Any(schema => choices[0].Place == schema.Place))
        {
            return [shape];
        }

        var found = new List<SchemaShape>();
        foreach (SchemaAt option in choices[0].Options)
        {
            foreach (SchemaShape inner in Shapes([option], reader, depth + 1))
            {
                inner.Kinds &= shape.Kinds;
                inner.Properties.AddRange(shape.Properties);
                inner.Required.AddRange(shape.Required);
                inner.Forbidden.AddRange(shape.Forbidden);
                inner.Additional.AddRange(shape.Additional);
                inner.Constants ??= shape.Constants;
                found.Add(inner);
            }
        }

        return found;
    }

    private static bool AreDisjoint(SchemaShape a, SchemaShape b, SchemaReader reader)
    {
        ValueKinds common = a.Kinds & b.Kinds & Kinds(a) & Kinds(b);
        if (common == ValueKinds.None)
        {
            return true;
        }

        if (a.Constants is { } some && b.Constants is { } others)
        {
            return !some.Any(x => others.Any(y => JsonElement.DeepEquals(x, y)));
        }

        if (common == ValueKinds.String && a.ForbiddenTexts.Count > 0 && b.Constants is { } texts)
        {
            return texts.All(t => t.ValueKind == JsonValueKind.String && a.ForbiddenTexts.Contains(t.GetString()!));
        }

        if ((common & ~ValueKinds.Number) == 0)
        {
            return IsBelow(a.High, b.Low) || IsBelow(b.High, a.Low);
        }

        return common == ValueKinds.Object && (IsMissing(a, b) || IsMissing(b, a) || HaveDisjointProperty(a, b, reader));
    }

    private static ValueKinds Kinds(SchemaShape shape) =>
        shape.Constants is { } constants ? constants.Aggregate(ValueKinds.None, (kinds, value) => kinds | SchemaConstants.KindOf(value)) : ValueKinds.All;

    private static bool IsBelow(NumberRange.Bound? high, NumberRange.Bound? low) =>
        high is { } h && low is { } l && (h.CompareTo(l) is var order && (order < 0 || (order == 0 && (h.IsExclusive || l.IsExclusive))));

    // Something that the first must have, the second cannot have.
    private static bool IsMissing(SchemaShape a, SchemaShape b) => a.Required.Any(name => b.Forbidden.Contains(name)
        || b.Additional.Any(rest => rest.Schema.Element.ValueKind == JsonValueKind.False && rest.Patterns.Count == 0 && !rest.Names.Contains(name)));

    private static bool HaveDisjointProperty(SchemaShape a, SchemaShape b, SchemaReader reader) =>
        a.Required.Intersect(b.Required, StringComparer.Ordinal).Any(name =>
        {
            SchemaAt[] one = [.. a.Properties.Where(p => p.Name == name).SelectMany(p => p.Schemas)];
            SchemaAt[] other = [.. b.Properties.Where(p => p.Name == name).SelectMany(p => p.Schemas)];
            if (one.Length == 0 || other.Length == 0)
            {
                return false;
            }

            SchemaShape? x = reader.Read(one, out _);
            SchemaShape? y = reader.Read(other, out _);
            return x is null || y is null || (x.Kinds & Kinds(x) & y.Kinds & Kinds(y)) == ValueKinds.None
                || (x.Constants is { } p && y.Constants is { } q && !p.Any(v => q.Any(w => JsonElement.DeepEquals(v, w))));
        });
}
