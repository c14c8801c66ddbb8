namespace ModelServe.Codec;

/// <summary>A file of the checkpoint's text side (tokenizer, template, their configuration) is missing or contradicts itself.</summary>
public sealed class InvalidTextModelException : Exception
{
    /// <summary>Without a message.</summary>
    public InvalidTextModelException()
    {
    }

    /// <summary>With the file, the field and what is wrong.</summary>
    public InvalidTextModelException(string message)
        : base(message)
    {
    }

    /// <summary>With the file, the field and the cause.</summary>
    public InvalidTextModelException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
