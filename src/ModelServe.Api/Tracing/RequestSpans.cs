namespace ModelServe.Api.Tracing;

/// <summary>What a host needs to know to export the server's spans.</summary>
public static class RequestSpans
{
    /// <summary>Name of the activity source.</summary>
    public const string SourceName = "ModelServe";
}
