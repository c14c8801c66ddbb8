using ModelServe.Api.Facades;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Api.Security;

namespace ModelServe.Api;

/// <summary>How the wire side of the server behaves; what the process decides at start. Immutable.</summary>
public sealed record ApiOptions
{
    /// <summary>Largest values that a request may carry.</summary>
    public RequestLimits Limits { get; init; } = new();

    /// <summary>How long an engine may hold running requests without completing a step before its model counts as stalled.</summary>
    public TimeSpan StallLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long one step may take before it is given up and its model with it; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</summary>
    public TimeSpan StepLimit { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long before a call's own deadline the engine ends its request, so that the ending still reaches the client.</summary>
    public TimeSpan DeadlineMargin { get; init; } = TimeSpan.FromMilliseconds(75);

    /// <summary>Folders below which models may be loaded by request; none allows no loading.</summary>
    public ModelRoots ModelRoots { get; init; } = new([]);

    /// <summary>Which other projects' gRPC interfaces are answered beside the server's own.</summary>
    public FacadeSet Facades { get; init; } = FacadeSet.All;

    /// <summary>Whether clients may ask for the contract by gRPC reflection.</summary>
    public bool Reflection { get; init; }

    /// <summary>HTTP/2 streams that one connection may have open at once; admission decides how many of them run.</summary>
    public int StreamsPerConnection { get; init; } = 4096;

    /// <summary>Connections that the process accepts at once.</summary>
    public long Connections { get; init; } = 16 * 1024;

    /// <summary>After how much silence a connection is pinged, and for how long the answer may be missing.</summary>
    public TimeSpan KeepAlivePing { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The file of API keys; null serves whoever can connect.</summary>
    public string? ApiKeyFile { get; init; }

    /// <summary>The server's certificate; null speaks in cleartext.</summary>
    public TlsFiles? Tls { get; init; }

    /// <summary>How often the key file and the TLS files are looked at.</summary>
    public TimeSpan ReloadInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Whether the ports may be bound beyond loopback although TLS or keys are missing.</summary>
    public bool AllowInsecureRemote { get; init; }
}
