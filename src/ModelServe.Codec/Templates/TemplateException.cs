namespace ModelServe.Codec.Templates;

/// <summary>
/// A chat template refused its input (its own raise_exception message, verbatim), failed as it would in Python, or exceeded a
/// limit of <see cref="TemplateLimits"/>.
/// </summary>
public sealed class TemplateException : Exception
{
    /// <summary>Without a message.</summary>
    public TemplateException()
    {
    }

    /// <summary>With the template's own message, or what went wrong.</summary>
    public TemplateException(string message)
        : base(message)
    {
    }

    /// <summary>With what went wrong and the cause.</summary>
    public TemplateException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
