using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>
/// The closed set of values a template can meet, and what Python calls them: null (None), bool, long, <see cref="BigInteger"/>
/// (only beyond 64 bits), double, string, <see cref="Markup"/>, <see cref="TemplateList"/>, <see cref="TemplateTuple"/>,
/// <see cref="TemplateDict"/>, <see cref="DictView"/>, <see cref="TemplateRange"/>, <see cref="OneShotIterator"/>,
/// <see cref="TemplateNamespace"/>, <see cref="LoopContext"/>, <see cref="TemplateMacro"/>, <see cref="TemplateFunction"/>,
/// <see cref="TemplateCycler"/>, <see cref="Undefined"/>. No host object is ever among them.
/// </summary>
internal static class PythonTypes
{
    private const int MaxDepth = 200;

    /// <summary>Python's name of the value's type.</summary>
    public static string NameOf(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        long or BigInteger => "int",
        double => "float",
        string => "str",
        Markup => "Markup",
        TemplateList => "list",
        TemplateTuple => "tuple",
        TemplateDict => "dict",
        DictView view => view.TypeName,
        TemplateRange => "range",
        OneShotIterator iterator => iterator.TypeName,
        TemplateNamespace => "Namespace",
        LoopContext => "LoopContext",
        TemplateMacro => "Macro",
        TemplateFunction function => function.TypeName,
        TemplateCycler => "Cycler",
        Undefined => "Undefined",
        _ => throw new TemplateException($"a value of unknown type {value.GetType().Name}"),
    };

    /// <summary>Python's truth.</summary>
    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        string text => text.Length > 0,
        long number => number != 0,
        double number => number != 0,
        BigInteger number => !number.IsZero,
        Markup markup => markup.Text.Length > 0,
        TemplateSequence sequence => sequence.Items.Length > 0,
        TemplateDict dict => dict.Count > 0,
        DictView view => view.Items.Length > 0,
        TemplateRange range => range.Length > 0,
        LoopContext loop => IsTrue(loop.Attribute("length")),
        _ => true,
    };

    /// <summary>The text of a string or markup; null for every other type.</summary>
    public static string? AsText(object? value) => value as string ?? (value as Markup)?.Text;

    /// <summary>Number of elements; -1 for a type without.</summary>
    public static long TryLength(object? value) => value switch
    {
        string text => CodePoints.Length(text),
        Markup markup => CodePoints.Length(markup.Text),
        TemplateSequence sequence => sequence.Items.Length,
        TemplateDict dict => dict.Count,
        DictView view => view.Items.Length,
        TemplateRange range => range.Length,
        Undefined => 0,
        LoopContext loop => (long)loop.Attribute("length")!,
        _ => -1,
    };

    /// <summary>Number of elements.</summary>
    /// <exception cref="TemplateException">The type has no length.</exception>
    public static long Length(object? value)
    {
        long length = TryLength(value);
        return length >= 0 ? length : throw new TemplateException($"object of type '{NameOf(value)}' has no len()");
    }

    /// <summary>Refuses to walk into values that nest without end.</summary>
    public static void RequireDepth(int depth)
    {
        if (depth > MaxDepth)
        {
            throw new TemplateException($"a value nests deeper than {MaxDepth} levels");
        }
    }
}
