namespace ModelServe.Codec.Templates;

/// <summary>The one value that a template may change: named attributes that outlive the scopes of loops.</summary>
internal sealed class TemplateNamespace
{
    /// <summary>The attributes, in the order of their first assignment.</summary>
    public OrderedDictionary<string, object?> Attributes { get; } = [];
}
