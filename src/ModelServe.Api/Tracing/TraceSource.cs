namespace ModelServe.Api.Tracing;

/// <summary>What a host needs to know to export the server's spans.</summary>
public static class TraceSource
{
    /// <summary>Name of the activity source.</summary>
    public const string Name = "ModelServe";
}
