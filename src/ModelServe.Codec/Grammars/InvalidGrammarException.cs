namespace ModelServe.Codec.Grammars;

/// <summary>A schema, regular expression or grammar cannot be followed: it is malformed, contradicts itself, is too large, or uses what is not offered.</summary>
public sealed class InvalidGrammarException : Exception
{
    /// <summary>Refuses a grammar for a reason that has no place.</summary>
    public InvalidGrammarException(string message)
        : this("", message)
    {
    }

    /// <summary>Refuses a grammar for a reason that another exception found.</summary>
    public InvalidGrammarException(string message, Exception innerException)
        : base(message, innerException) => Place = "";

    /// <summary>Refuses a grammar.</summary>
    public InvalidGrammarException()
        : this("", "invalid grammar")
    {
    }

    /// <summary>Refuses a grammar.</summary>
    /// <param name="place">Where in the source, such as a JSON pointer or a character position.</param>
    /// <param name="message">What is wrong there.</param>
    /// <param name="isUnsupported">Whether the source is well formed but asks for what is not offered.</param>
    public InvalidGrammarException(string place, string message, bool isUnsupported = false)
        : base(place.Length == 0 ? message : $"{place}: {message}")
    {
        Place = place;
        IsUnsupported = isUnsupported;
    }

    /// <summary>Where in the source; empty for the whole.</summary>
    public string Place { get; }

    /// <summary>Whether the source is well formed but asks for what is not offered.</summary>
    public bool IsUnsupported { get; }
}
