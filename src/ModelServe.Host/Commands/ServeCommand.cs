using System.CommandLine;
using System.CommandLine.Parsing;
using ModelServe.Api.Facades;
using ModelServe.Api.Security;
using ModelServe.Engine.Running;
using ModelServe.Execution.Native;
using ModelServe.Host.Models;
using ModelServe.Host.Options;
using ModelServe.Host.Serving;

namespace ModelServe.Host.Commands;

/// <summary><c>modelserve serve</c>: loads the models, listens, and serves until it is told to stop.</summary>
internal sealed class ServeCommand : Command
{
    private readonly Option<string[]> _models = new("--model") { Description = "NAME=DIR of a checkpoint; repeatable (default: the shipped tiny-mini)" };
    private readonly Option<ListenAddress> _grpc = Address("--grpc", "where gRPC listens (HTTP/2 without TLS): ADDRESS:PORT, or unix:/PATH for this user alone", "127.0.0.1:8001");
    private readonly Option<ListenAddress> _http = Address("--http", "where HTTP/1.1 listens: the OpenAI dialect, health, metrics; as --grpc", "127.0.0.1:8000");
    private readonly Option<int?> _maxQueued = new("--max-queued") { Description = "requests that may wait (default 1024)" };
    private readonly Option<long?> _maxQueuedTokens = new("--max-queued-tokens") { Description = "prompt tokens that may wait (default 1048576)" };
    private readonly Option<double?> _drainTimeout = new("--drain-timeout") { Description = "seconds that running requests get after a stop signal (default 30)" };
    private readonly Option<double?> _drainDelay = new("--drain-delay") { Description = "seconds that the ports stay open at least after a stop signal, for load balancers to notice (default 0)" };
    private readonly Option<double?> _warmUp = new("--warm-up") { Description = "seconds for which each model answers made-up requests before it takes real ones, so that the first ones find everything compiled and measured; 0 for none (default 1)" };
    private readonly Option<double?> _stepTimeout = new("--step-timeout") { Description = "seconds after which a step that has not returned is given up, and its model with it; 0 never (default 300)" };
    private readonly Option<double?> _failureGrace = new("--failure-grace") { Description = "seconds after which the process ends, with exit code 3, once a model has failed (default 5)" };
    private readonly Option<bool> _stayOnFailure = new("--stay-on-failure") { Description = "do not end the process when a model has failed" };
    private readonly Option<Uri?> _otlpEndpoint = new("--otlp-endpoint") { Description = "http(s) address of an OpenTelemetry collector that gets a span of each request over gRPC (default: none, nothing is sent)", CustomParser = ParseCollector };
    private readonly Option<double?> _traceRatio = new("--trace-ratio") { Description = "share of the requests without a traceparent that are traced, 0 to 1 (default 1)" };
    private readonly Option<double?> _maxRequestTime = new("--max-request-time") { Description = "seconds after which any request ends (default 600)" };
    private readonly Option<bool> _allowInsecureRemote = new("--allow-insecure-remote") { Description = "listen beyond loopback although TLS or keys are missing" };
    private readonly Option<string?> _apiKeys = new("--api-keys") { Description = "FILE of API keys; without it whoever can connect is served (modelserve key new makes one)" };
    private readonly Option<string?> _tlsCertificate = new("--tls-cert") { Description = "FILE of the server's certificate and its chain, PEM; every port then speaks HTTP/2 and HTTP/1.1 over TLS" };
    private readonly Option<string?> _tlsKey = new("--tls-key") { Description = "FILE of the certificate's private key, PEM" };
    private readonly Option<string?> _tlsClientCa = new("--tls-client-ca") { Description = "FILE of the authorities, PEM, from one of which every client must have a certificate" };
    private readonly Option<double?> _reloadInterval = new("--reload-interval") { Description = "seconds between looks at the key file and the TLS files; 0 only at SIGHUP (default 1)" };
    private readonly Option<string?> _toolCallFormat = new("--tool-call-format") { Description = $"how the models write tool calls, where the chat template does not show it or shows it wrong: {string.Join(", ", AnswerForm.ToolCallNames)} (default: as the template shows)" };
    private readonly Option<string?> _reasoningFormat = new("--reasoning-format") { Description = $"what stands around the models' reasoning: {string.Join(", ", AnswerForm.ReasoningNames)} (default: as the template shows)" };
    private readonly Option<bool> _verifyChecksums = new("--verify-checksums") { Description = "read every file of a checkpoint before it is served and compare it with SHA256SUMS in its folder, as sha256sum writes it" };
    private readonly Option<string[]> _modelRoots = new("--model-root") { Description = "DIR below which models may be loaded by request; repeatable" };
    private readonly Option<FacadeSet> _facades = new("--facades")
    {
        Description = "other gRPC interfaces to answer: all, none, or some of vllm,openengine,kserve (default all)",
        DefaultValueFactory = _ => FacadeSet.All,
        CustomParser = ParseFacades,
    };

    private readonly ModelOptionSet _modelOptions = new(severalDevices: true);

    /// <summary>Declares options and action.</summary>
    public ServeCommand()
        : base("serve", "Serve models over gRPC; with no --model the shipped tiny-mini")
    {
        ModelOptionSet.AddRange(_maxQueued, 1, 1 << 20);
        ModelOptionSet.AddRange(_maxQueuedTokens, 1L, 1L << 40);
        ModelOptionSet.AddRange(_drainTimeout, 0.0, 86_400.0);
        ModelOptionSet.AddRange(_drainDelay, 0.0, 3_600.0);
        ModelOptionSet.AddRange(_warmUp, 0.0, 600.0);
        ModelOptionSet.AddRange(_stepTimeout, 0.0, 86_400.0);
        ModelOptionSet.AddRange(_failureGrace, 0.0, 3_600.0);
        ModelOptionSet.AddRange(_traceRatio, 0.0, 1.0);
        ModelOptionSet.AddRange(_reloadInterval, 0.0, 86_400.0);
        RequireName(_toolCallFormat, AnswerForm.ToolCallNames);
        RequireName(_reasoningFormat, AnswerForm.ReasoningNames);
        ModelOptionSet.AddRange(_maxRequestTime, 0.001, 604_800.0);
        foreach (Option option in new Option[] { _models, _grpc, _http, _maxQueued, _maxQueuedTokens, _drainTimeout, _drainDelay, _warmUp, _stepTimeout, _failureGrace, _stayOnFailure, _otlpEndpoint, _traceRatio, _maxRequestTime, _allowInsecureRemote, _apiKeys, _tlsCertificate, _tlsKey, _tlsClientCa, _reloadInterval, _toolCallFormat, _reasoningFormat, _verifyChecksums, _modelRoots, _facades })
        {
            Options.Add(option);
        }

        _modelOptions.AddTo(this);
        Validators.Add(result =>
        {
            foreach (string model in result.GetValue(_models) ?? [])
            {
                if (!ModelReference.TryParse(model, out _, out string error))
                {
                    result.AddError(error);
                }
            }
        });
        SetAction((parsed, cancellationToken) => ServeAsync(Read(parsed), cancellationToken));
    }

    private static async Task<int> ServeAsync(ServeOptions options, CancellationToken cancellationToken)
    {
        if (options.FirstError() is { } error)
        {
            await Console.Error.WriteLineAsync("modelserve: " + error);
            return 2;
        }

        // First of all, so that the threads that are started from here on inherit it.
        ThreadTurns.AskForAll(ThreadTurns.ForAnswers);
        using LossyLog log = new(Console.Error);
        Console.SetError(log);
        return await ServerProcess.RunAsync(options, new SteadyTimeProvider(TimeProvider.System), cancellationToken);
    }

    private ServeOptions Read(ParseResult parsed)
    {
        string[] given = parsed.GetValue(_models) ?? [];
        List<ModelReference> models = [];
        foreach (string text in given.Length > 0 ? given : [ShippedModels.Default])
        {
            if (ModelReference.TryParse(text, out ModelReference? reference, out _))
            {
                models.Add(reference! with { Directory = ShippedModels.Resolve(reference.Directory) });
            }
        }

        EngineSettings engine = _modelOptions.Read(parsed);
        return new ServeOptions
        {
            Models = models,
            Engine = engine with
            {
                WarmUp = TimeSpan.FromSeconds(parsed.GetValue(_warmUp) ?? 1),
                StepTimeout = (parsed.GetValue(_stepTimeout) ?? 300) is > 0 and var seconds ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan,
                VerifyChecksums = parsed.GetValue(_verifyChecksums),
                MaxQueued = parsed.GetValue(_maxQueued) ?? engine.MaxQueued,
                MaxQueuedTokens = parsed.GetValue(_maxQueuedTokens) ?? engine.MaxQueuedTokens,
            },
            Grpc = parsed.GetValue(_grpc)!,
            Http = parsed.GetValue(_http)!,
            DrainTimeout = TimeSpan.FromSeconds(parsed.GetValue(_drainTimeout) ?? 30),
            DrainDelay = TimeSpan.FromSeconds(parsed.GetValue(_drainDelay) ?? 0),
            FailureGrace = parsed.GetValue(_stayOnFailure) ? null : TimeSpan.FromSeconds(parsed.GetValue(_failureGrace) ?? 5),
            OtlpEndpoint = parsed.GetValue(_otlpEndpoint),
            TraceRatio = parsed.GetValue(_traceRatio) ?? 1,
            MaxRequestTime = TimeSpan.FromSeconds(parsed.GetValue(_maxRequestTime) ?? 600),
            AllowInsecureRemote = parsed.GetValue(_allowInsecureRemote),
            ApiKeyFile = parsed.GetValue(_apiKeys),
            TlsCertificate = parsed.GetValue(_tlsCertificate),
            TlsKey = parsed.GetValue(_tlsKey),
            TlsClientCa = parsed.GetValue(_tlsClientCa),
            ReloadInterval = (parsed.GetValue(_reloadInterval) ?? 1) is > 0 and var interval ? TimeSpan.FromSeconds(interval) : Timeout.InfiniteTimeSpan,
            Answers = new AnswerForm { ToolCalls = parsed.GetValue(_toolCallFormat), Reasoning = parsed.GetValue(_reasoningFormat) },
            ModelRoots = parsed.GetValue(_modelRoots) ?? [],
            Facades = parsed.GetValue(_facades),
        };
    }

    private static void RequireName(Option<string?> option, IEnumerable<string> names) => option.Validators.Add(result =>
    {
        if (result.GetValue(option) is { } given && !names.Contains(given))
        {
            result.AddError($"{option.Name}: expected one of {string.Join(", ", names)}; got '{given}'");
        }
    });

    private static FacadeSet ParseFacades(ArgumentResult result)
    {
        FacadeSet facades = FacadeSet.None;
        foreach (string word in result.Tokens.Count > 0 ? result.Tokens[0].Value.Split(',') : [""])
        {
            FacadeSet? named = word switch
            {
                "all" => FacadeSet.All,
                "none" => FacadeSet.None,
                "vllm" => FacadeSet.Vllm,
                "openengine" => FacadeSet.OpenEngine,
                "kserve" => FacadeSet.KServe,
                _ => null,
            };
            if (named is null)
            {
                result.AddError($"--facades: all, none, or some of vllm,openengine,kserve; got '{word}'");
            }

            facades |= named ?? FacadeSet.None;
        }

        return facades;
    }

    private static Option<ListenAddress> Address(string name, string description, string standard) => new(name)
    {
        Description = $"{description} (default {standard})",
        DefaultValueFactory = _ => ListenAddress.TryParse(standard, out ListenAddress? address) ? address! : throw new FormatException(standard),
        CustomParser = result => Parse(name, result),
    };

    private static Uri? ParseCollector(ArgumentResult result)
    {
        string text = result.Tokens.Count > 0 ? result.Tokens[0].Value : "";
        if (Uri.TryCreate(text, UriKind.Absolute, out Uri? address) && (address.Scheme == "http" || address.Scheme == "https"))
        {
            return address;
        }

        result.AddError($"--otlp-endpoint: expected an address such as http://127.0.0.1:4317; got '{text}'");
        return null;
    }

    private static ListenAddress? Parse(string name, ArgumentResult result)
    {
        string text = result.Tokens.Count > 0 ? result.Tokens[0].Value : "";
        if (ListenAddress.TryParse(text, out ListenAddress? address))
        {
            return address;
        }

        result.AddError($"{name}: expected ADDRESS:PORT such as 127.0.0.1:8001, or unix:/PATH with at most {UnixSocketFile.MaxPathBytes} bytes; got '{text}'");
        return null;
    }
}
