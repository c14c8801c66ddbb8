namespace ModelServe.Execution.Loading;

/// <summary>A model cannot be loaded. The message names what was asked, what is allowed and what was found, and is fit for an operator.</summary>
public class ModelLoadException : Exception
{
    /// <summary>Without a message.</summary>
    public ModelLoadException()
    {
    }

    /// <summary>With the reason.</summary>
    public ModelLoadException(string message)
        : base(message)
    {
    }

    /// <summary>With the reason and its cause.</summary>
    public ModelLoadException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
