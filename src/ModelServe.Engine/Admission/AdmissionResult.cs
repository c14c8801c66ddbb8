using System.Diagnostics.CodeAnalysis;

namespace ModelServe.Engine.Admission;

/// <summary>The answer to a request: its token stream, or why it was not accepted.</summary>
public sealed class AdmissionResult
{
    private AdmissionResult(TokenStream? stream, Rejection? rejection)
    {
        Stream = stream;
        Rejection = rejection;
    }

    /// <summary>The stream of an accepted request.</summary>
    public TokenStream? Stream { get; }

    /// <summary>The reason of a refused one.</summary>
    public Rejection? Rejection { get; }

    /// <summary>Accepted.</summary>
    public static AdmissionResult Accepted(TokenStream stream) => new(stream, null);

    /// <summary>Refused.</summary>
    public static AdmissionResult Refused(Rejection rejection) => new(null, rejection);

    /// <summary>Whether the request was accepted, with what came of it.</summary>
    public bool IsAccepted([NotNullWhen(true)] out TokenStream? stream, [NotNullWhen(false)] out Rejection? rejection)
    {
        stream = Stream;
        rejection = Rejection;
        return stream is not null;
    }
}
