using ModelServe.Api;
using ModelServe.Api.Facades;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Api.Security;

namespace ModelServe.Host.Options;

/// <summary>Everything that the serve command was told; validated, complete, never changed afterwards.</summary>
internal sealed record ServeOptions
{
    /// <summary>The models, in the order given; at least one.</summary>
    public required IReadOnlyList<ModelReference> Models { get; init; }

    /// <summary>Loading and scheduling.</summary>
    public required EngineSettings Engine { get; init; }

    /// <summary>Where gRPC (HTTP/2 without TLS) listens.</summary>
    public required ListenAddress Grpc { get; init; }

    /// <summary>Where HTTP/1.1 (health, metrics) listens.</summary>
    public required ListenAddress Http { get; init; }

    /// <summary>Folders below which models may be loaded by request.</summary>
    public IReadOnlyList<string> ModelRoots { get; init; } = [];

    /// <summary>Other projects' gRPC interfaces to answer.</summary>
    public FacadeSet Facades { get; init; } = FacadeSet.All;

    /// <summary>How long running requests may finish after a stop was asked for.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the listeners stay open at least after a stop was asked for, so that load balancers see that nothing is taken any more.</summary>
    public TimeSpan DrainDelay { get; init; } = TimeSpan.Zero;

    /// <summary>How long after a model has failed the process ends; null keeps it.</summary>
    public TimeSpan? FailureGrace { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The OpenTelemetry collector that gets a span of each request, over gRPC; null sends nothing anywhere.</summary>
    public Uri? OtlpEndpoint { get; init; }

    /// <summary>Share of the requests without a traceparent that are traced, in [0, 1].</summary>
    public double TraceRatio { get; init; } = 1;

    /// <summary>Upper bound of every request's time, and the deadline of one that names none.</summary>
    public TimeSpan MaxRequestTime { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The file of API keys; null serves whoever can connect.</summary>
    public string? ApiKeyFile { get; init; }

    /// <summary>The server's certificate in PEM; null speaks in cleartext.</summary>
    public string? TlsCertificate { get; init; }

    /// <summary>Its private key in PEM.</summary>
    public string? TlsKey { get; init; }

    /// <summary>The authorities whose clients are taken, in PEM; null asks clients for no certificate.</summary>
    public string? TlsClientCa { get; init; }

    /// <summary>How often key file and TLS files are looked at; <see cref="Timeout.InfiniteTimeSpan"/> only at SIGHUP.</summary>
    public TimeSpan ReloadInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How the models of this process write their answers, where their templates are not to be asked.</summary>
    public AnswerForm Answers { get; init; } = new();

    /// <summary>Whether addresses beyond this machine are allowed although TLS or keys are missing.</summary>
    public bool AllowInsecureRemote { get; init; }

    /// <summary>What the wire side is told.</summary>
    public ApiOptions ToApiOptions() => new()
    {
        ApiKeyFile = ApiKeyFile,
        Tls = TlsCertificate is null ? null : new TlsFiles(TlsCertificate, TlsKey!, TlsClientCa),
        AllowInsecureRemote = AllowInsecureRemote,
        ReloadInterval = ReloadInterval,
        Reflection = true,
        Facades = Facades,
        ModelRoots = new ModelRoots(ModelRoots),
        StepLimit = Engine.StepTimeout,
        Limits = new RequestLimits { Duration = MaxRequestTime },
    };

    /// <summary>The first rule that the options break, or null.</summary>
    public string? FirstError()
    {
        IEnumerable<string> names = Models.GroupBy(model => model.Name).Where(group => group.Count() > 1).Select(group => group.Key);
        if (names.FirstOrDefault() is { } twice)
        {
            return $"--model: each name may be given once; got '{twice}' twice";
        }

        if (ModelRoots.FirstOrDefault(root => !Directory.Exists(root)) is { } missing)
        {
            return $"--model-root: a folder that exists; got '{missing}'";
        }

        if (Answers.FirstError() is { } form)
        {
            return form;
        }

        if (TlsCertificate is null != TlsKey is null || (TlsClientCa is not null && TlsCertificate is null))
        {
            return "--tls-cert, --tls-key: both or neither, and both with --tls-client-ca";
        }

        if (TlsCertificate is null && Grpc == Http && !Grpc.IsChosenBySystem)
        {
            return $"--grpc, --http: two addresses, because only TLS lets one port speak both; got {Grpc} twice";
        }

        ApiOptions api = ToApiOptions();
        string? refusal = ListenerRule.Refusal(Grpc.ToEndPoint(), api) ?? ListenerRule.Refusal(Http.ToEndPoint(), api);
        return refusal is null ? null : $"--grpc, --http: {refusal}";
    }
}
