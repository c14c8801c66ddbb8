namespace ModelServe.Api.Models;

/// <summary>A grammar is not compiled because as many wait for it as may.</summary>
public sealed class GrammarsBusyException : Exception
{
    /// <summary>Too many wait.</summary>
    public GrammarsBusyException()
        : base("as many grammars wait to be compiled as may")
    {
    }

    /// <summary>Too many wait, in other words.</summary>
    public GrammarsBusyException(string message)
        : base(message)
    {
    }

    /// <summary>Too many wait, for a reason that another exception tells.</summary>
    public GrammarsBusyException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
