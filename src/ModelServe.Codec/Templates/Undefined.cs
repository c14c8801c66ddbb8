namespace ModelServe.Codec.Templates;

/// <summary>The value of what does not exist: prints nothing and is false, but any other use raises its message.</summary>
internal sealed class Undefined(string message)
{
    /// <summary>What does not exist.</summary>
    public string Message => message;

    /// <summary>The exception that a use raises.</summary>
    public TemplateException Raise() => new(message);

    /// <summary>A missing attribute or element of <paramref name="owner"/>.</summary>
    public static Undefined Member(object? owner, object? key)
    {
        string type = owner is null ? "None" : PythonTypes.NameOf(owner) + " object";
        return new Undefined(PythonTypes.AsText(key) is string name
            ? $"'{type}' has no attribute '{name}'"
            : $"{type} has no element {(key is long or bool or double ? PythonText.Repr(null, key) : PythonTypes.NameOf(key))}");
    }

    /// <summary>An attribute that the sandbox hides.</summary>
    public static Undefined Unsafe(object? owner, string name) =>
        new($"access to attribute '{name}' of '{PythonTypes.NameOf(owner)}' object is unsafe.");
}
