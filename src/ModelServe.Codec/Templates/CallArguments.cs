namespace ModelServe.Codec.Templates;

/// <summary>The evaluated arguments of one call.</summary>
/// <param name="positional">By position.</param>
/// <param name="named">By name, without repetition.</param>
internal sealed class CallArguments(object?[] positional, KeyValuePair<string, object?>[] named)
{
    /// <summary>No arguments.</summary>
    public static CallArguments Empty { get; } = new([], []);

    /// <summary>The arguments by position.</summary>
    public object?[] Positional => positional;

    /// <summary>The arguments by name.</summary>
    public KeyValuePair<string, object?>[] Named => named;

    /// <summary>
    /// One value per parameter name, <see cref="Missing"/> where none was given; the first <paramref name="required"/> must be.
    /// </summary>
    /// <exception cref="TemplateException">Too many, unknown, repeated or missing arguments.</exception>
    public object?[] Bind(string function, int required, params ReadOnlySpan<string> names)
    {
        var values = new object?[names.Length];
        Array.Fill(values, Missing.Value);
        if (positional.Length > names.Length)
        {
            throw new TemplateException($"{function}() takes at most {names.Length} arguments ({positional.Length} given)");
        }

        positional.CopyTo(values, 0);
        foreach ((string name, object? value) in named)
        {
            int index = names.IndexOf(name);
            if (index < 0)
            {
                throw new TemplateException($"{function}() got an unexpected keyword argument '{name}'");
            }

            if (index < positional.Length)
            {
                throw new TemplateException($"{function}() got multiple values for argument '{name}'");
            }

            values[index] = value;
        }

        for (int i = 0; i < required; i++)
        {
            if (values[i] is Missing)
            {
                throw new TemplateException($"{function}() missing the required argument '{names[i]}'");
            }
        }

        return values;
    }

    /// <summary>The arguments without the first positional ones.</summary>
    public CallArguments Skip(int count) => new(positional[count..], named);
}
