namespace ModelServe.Codec.Templates;

/// <summary>What a function does.</summary>
internal delegate object? TemplateCallable(RenderState state, CallArguments arguments);

/// <summary>A callable value: a global function or a method bound to its object.</summary>
/// <param name="name">Its name.</param>
/// <param name="invoke">What it does.</param>
/// <param name="typeName">Python's name of its type.</param>
internal sealed class TemplateFunction(string name, TemplateCallable invoke, string typeName = "builtin_function_or_method")
{
    /// <summary>Its name.</summary>
    public string Name => name;

    /// <summary>Python's name of its type.</summary>
    public string TypeName => typeName;

    /// <summary>Calls it.</summary>
    public object? Invoke(RenderState state, CallArguments arguments) => invoke(state, arguments);
}

/// <summary>Calls a value of any kind.</summary>
internal static class PythonCall
{
    /// <summary>The result of calling <paramref name="callee"/>.</summary>
    /// <exception cref="TemplateException">It is undefined or not callable, or raises.</exception>
    public static object? Invoke(RenderState state, object? callee, CallArguments arguments) => callee switch
    {
        TemplateFunction function => function.Invoke(state, arguments),
        TemplateMacro macro => macro.Invoke(state, arguments),
        LoopContext loop => loop.Recurse(state, arguments),
        Undefined undefined => throw undefined.Raise(),
        _ => throw new TemplateException($"'{PythonTypes.NameOf(callee)}' object is not callable"),
    };
}
