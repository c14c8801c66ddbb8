using System.Text.Json;

namespace ModelServe.Codec.Grammars;

/// <summary>The kinds of JSON value that a schema admits.</summary>
[Flags]
internal enum ValueKinds
{
    /// <summary>No value.</summary>
    None = 0,

    /// <summary>null.</summary>
    Null = 1,

    /// <summary>true and false.</summary>
    Boolean = 2,

    /// <summary>Numbers without a fraction.</summary>
    Integer = 4,

    /// <summary>Numbers with a fraction or an exponent.</summary>
    Fraction = 8,

    /// <summary>Strings.</summary>
    String = 16,

    /// <summary>Arrays.</summary>
    Array = 32,

    /// <summary>Objects.</summary>
    Object = 64,

    /// <summary>Every number.</summary>
    Number = Integer | Fraction,

    /// <summary>Every value.</summary>
    All = Null | Boolean | Number | String | Array | Object,
}

/// <summary>One schema inside the source, with the place where it stands.</summary>
/// <param name="Element">The schema: an object or a boolean.</param>
/// <param name="Place">Its JSON pointer, "#" for the root.</param>
internal readonly record struct SchemaAt(JsonElement Element, string Place);

/// <summary>Several schemas that hold at once, merged keyword by keyword. Filled by <see cref="SchemaReader"/>.</summary>
internal sealed class SchemaShape
{
    /// <summary>Kinds that every schema admits.</summary>
    public ValueKinds Kinds { get; set; } = ValueKinds.All;

    /// <summary>Given values; null when any is allowed.</summary>
    public List<JsonElement>? Constants { get; set; }

    /// <summary>Schemas of each named property, in order of first mention.</summary>
    public List<(string Name, List<SchemaAt> Schemas)> Properties { get; } = [];

    /// <summary>Names that must be there.</summary>
    public List<string> Required { get; } = [];

    /// <summary>Names that must not be there.</summary>
    public List<string> Forbidden { get; } = [];

    /// <summary>Schemas of properties whose name matches a pattern.</summary>
    public List<(string Pattern, SchemaAt Schema)> PatternProperties { get; } = [];

    /// <summary>What holds for properties that the same schema does not name: its own names and patterns, and the schema for the rest.</summary>
    public List<(HashSet<string> Names, List<string> Patterns, SchemaAt Schema)> Additional { get; } = [];

    /// <summary>Schemas of every property name.</summary>
    public List<SchemaAt> PropertyNames { get; } = [];

    /// <summary>Fewest properties.</summary>
    public int MinProperties { get; set; }

    /// <summary>Most properties; null for any number.</summary>
    public int? MaxProperties { get; set; }

    /// <summary>Per schema: schemas of the first items, and of the items after them (null when anything may follow).</summary>
    public List<(List<SchemaAt> First, SchemaAt? After)> Items { get; } = [];

    /// <summary>Fewest items.</summary>
    public int MinItems { get; set; }

    /// <summary>Most items; null for any number.</summary>
    public int? MaxItems { get; set; }

    /// <summary>Whether items must differ.</summary>
    public bool HasUniqueItems { get; set; }

    /// <summary>Fewest characters.</summary>
    public int MinLength { get; set; }

    /// <summary>Most characters; null for any number.</summary>
    public int? MaxLength { get; set; }

    /// <summary>Patterns that strings match, with their places.</summary>
    public List<(string Pattern, string Place)> Patterns { get; } = [];

    /// <summary>Texts that strings are not.</summary>
    public List<string> ForbiddenTexts { get; } = [];

    /// <summary>Lower bound of numbers.</summary>
    public NumberRange.Bound? Low { get; set; }

    /// <summary>Upper bound of numbers.</summary>
    public NumberRange.Bound? High { get; set; }

    /// <summary>What numbers are multiples of, as written.</summary>
    public List<(string Number, string Place)> Multiples { get; } = [];

    /// <summary>Whether anything bounds strings.</summary>
    public bool BoundsStrings => MinLength > 0 || MaxLength is not null || Patterns.Count > 0 || ForbiddenTexts.Count > 0;

    /// <summary>Whether anything bounds objects.</summary>
    public bool BoundsObjects => Properties.Count > 0 || Required.Count > 0 || Forbidden.Count > 0 || PatternProperties.Count > 0
        || Additional.Count > 0 || PropertyNames.Count > 0 || MinProperties > 0 || MaxProperties is not null;

    /// <summary>Whether anything bounds arrays.</summary>
    public bool BoundsArrays => Items.Count > 0 || MinItems > 0 || MaxItems is not null || HasUniqueItems;
}
