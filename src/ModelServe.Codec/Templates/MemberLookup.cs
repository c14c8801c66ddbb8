using System.Collections.Frozen;

namespace ModelServe.Codec.Templates;

/// <summary>
/// Attributes and elements by Jinja2's two orders: <c>x.name</c> takes the attribute before the key, <c>x[key]</c> the key before
/// the attribute. What does not exist is <see cref="Undefined"/>; what the sandbox hides too.
/// </summary>
internal static class MemberLookup
{
    private static readonly FrozenSet<string> NumberMethods = new[]
    {
        "bit_length", "bit_count", "conjugate", "to_bytes", "from_bytes", "as_integer_ratio", "hex", "fromhex",
    }.ToFrozenSet();

    /// <summary><c>value.name</c>.</summary>
    /// <exception cref="TemplateException">The value is undefined.</exception>
    public static object? Attribute(object? value, string name)
    {
        object? found = OwnAttribute(value, name);
        return !ReferenceEquals(found, Missing.Value) ? found
            : value is TemplateDict dict && dict.TryGet(name, out object? item) ? item
            : Undefined.Member(value, name);
    }

    /// <summary><c>value[key]</c>.</summary>
    /// <exception cref="TemplateException">The value is undefined.</exception>
    public static object? Item(RenderState state, object? value, object? key)
    {
        state.Step();
        object? found = Missing.Value;
        switch (value)
        {
            case TemplateDict dict:
                found = key is TemplateList or TemplateDict || !dict.TryGet(key, out object? item) ? Missing.Value : item;
                break;
            case TemplateSequence or string or Markup or TemplateRange when key is long or bool:
                found = Element(value, key is long index ? index : (bool)key ? 1 : 0);
                break;
            case Undefined undefined:
                throw undefined.Raise();
        }

        if (ReferenceEquals(found, Missing.Value) && PythonTypes.AsText(key) is string name)
        {
            found = OwnAttribute(value, name);
        }

        return ReferenceEquals(found, Missing.Value) ? Undefined.Member(value, key) : found;
    }

    private static object? Element(object value, long index)
    {
        long length = PythonTypes.Length(value);
        index = index < 0 ? index + length : index;
        if (index < 0 || index >= length)
        {
            return Missing.Value;
        }

        int at = (int)index;
        return value switch
        {
            TemplateSequence sequence => sequence.Items[at],
            TemplateRange range => Boxed.Of(range.At(at)),
            string text => CodePoints.Substring(text, at, at + 1),
            _ => new Markup(CodePoints.Substring(((Markup)value).Text, at, at + 1)),
        };
    }

    private static object? OwnAttribute(object? value, string name)
    {
        if (value is Undefined undefined)
        {
            throw undefined.Raise();
        }

        if (name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal))
        {
            return value is TemplateDict dict && dict.TryGet(name, out _) ? Missing.Value : Undefined.Unsafe(value, name);
        }

        return value switch
        {
            string text => TextMethods.Find(text, isMarkup: false, name),
            Markup markup => TextMethods.Find(markup.Text, isMarkup: true, name),
            TemplateDict dict => ContainerMethods.Find(dict, name),
            TemplateSequence sequence => ContainerMethods.Find(sequence, name),
            TemplateNamespace space => space.Attributes.TryGetValue(name, out object? item) ? item : Missing.Value,
            LoopContext loop => loop.Attribute(name),
            TemplateMacro macro => name switch
            {
                "name" => macro.Name,
                "arguments" => macro.ParameterNames,
                _ => Missing.Value,
            },
            TemplateCycler cycler => cycler.Attribute(name),
            TemplateRange range => name switch
            {
                "start" => Boxed.Of(range.Start),
                "stop" => Boxed.Of(range.Stop),
                "step" => Boxed.Of(range.Step),
                _ => Missing.Value,
            },
            _ => PythonNumbers.IsNumber(value) ? NumberAttribute(value!, name) : Missing.Value,
        };
    }

    private static object? NumberAttribute(object value, string name) => name switch
    {
        "real" => value is bool ? PythonArithmetic.Sign(negate: false, value) : value,
        "imag" => value is double ? 0.0 : Boxed.Of(0),
        "numerator" when value is not double => PythonArithmetic.Sign(negate: false, value),
        "denominator" when value is not double => Boxed.Of(1),
        "is_integer" when value is double number =>
            new TemplateFunction(name, (_, _) => Boxed.Of(double.IsFinite(number) && Math.Floor(number) == number)),
        _ => NumberMethods.Contains(name) ? Unimplemented(value, name) : Missing.Value,
    };

    /// <summary>A method that Python has and this engine does not: it exists, and calling it says so.</summary>
    public static TemplateFunction Unimplemented(object? value, string name)
    {
        string type = PythonTypes.NameOf(value);
        return new TemplateFunction(name, (_, _) => throw new TemplateException($"the method '{name}' of {type} is not supported"));
    }
}
