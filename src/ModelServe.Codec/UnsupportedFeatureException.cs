namespace ModelServe.Codec;

/// <summary>A tokenizer or template asks for something this project does not implement; named, never guessed.</summary>
public sealed class UnsupportedFeatureException : Exception
{
    /// <summary>Without a message.</summary>
    public UnsupportedFeatureException()
    {
    }

    /// <summary>With the feature's name and where it stands.</summary>
    public UnsupportedFeatureException(string message)
        : base(message)
    {
    }

    /// <summary>With the feature's name and the cause.</summary>
    public UnsupportedFeatureException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
