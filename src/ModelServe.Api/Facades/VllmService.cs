using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;
using ModelServe.Facades.Common;
using ModelServe.Facades.Vllm;
using ModelServe.V1;
using AbortRequest = ModelServe.Facades.Vllm.AbortRequest;
using AbortResponse = ModelServe.Facades.Vllm.AbortResponse;
using EventBatch = ModelServe.Facades.Common.KvEventBatch;
using Own = ModelServe.V1.GenerateRequest;
using SubscribeRequest = ModelServe.Facades.Common.SubscribeKvEventsRequest;
using Theirs = ModelServe.Facades.Vllm.GenerateRequest;

namespace ModelServe.Api.Facades;

/// <summary>vllm.grpc.engine.VllmEngine in front of one model: tokens in, tokens out. Thread-safe.</summary>
internal sealed class VllmService(
    ModelCatalog catalog,
    RequestReader reader,
    GenerationCall calls,
    HealthReporter health,
    ServerDrain drain,
    ServerIdentity identity,
    TokenizerArchive archive,
    Subscriptions subscriptions,
    ServerEnd end,
    TimeProvider time)
    : VllmEngine.VllmEngineBase
{
    /// <summary>Metadata key that names the model where several are served.</summary>
    public const string ModelKey = "modelserve-model";

    private const int ChunkBytes = 64 * 1024;

    private readonly ThroughputMeter _throughput = new(time);
    private long _lastReceivedTicks;

    /// <inheritdoc/>
    public override async Task Generate(
        Theirs request, IServerStreamWriter<GenerateResponse> responseStream, ServerCallContext context)
    {
        Interlocked.Exchange(ref _lastReceivedTicks, time.GetUtcNow().UtcTicks);
        ServedModel model = Model(context);
        ReadRequest? read = null;
        Rejection? rejection = VllmRequests.Translate(request, model.Name, out Own own)
            ?? reader.Read(own, GenerationCall.CallerOf(context), out read);
        calls.ThrowIf(model.Name, rejection is null ? null : VllmRequests.Rename(rejection));
        await calls.RunAsync(read!, new VllmWriter(request, responseStream), context, VllmRequests.Rename);
    }

    /// <inheritdoc/>
    public override Task<EmbedResponse> Embed(EmbedRequest request, ServerCallContext context) =>
        throw RejectionStatus.ToException(
            new Rejection(RejectionReason.Unsupported, "model", "one that embeds", $"'{Model(context).Name}', which generates"));

    /// <inheritdoc/>
    public override Task<HealthCheckResponse> HealthCheck(HealthCheckRequest request, ServerCallContext context)
    {
        ModelCondition condition = health.Condition(Model(context));
        return Task.FromResult(new HealthCheckResponse
        {
            Healthy = condition == ModelCondition.Serving,
            Message = condition.ToString(),
        });
    }

    /// <inheritdoc/>
    public override Task<AbortResponse> Abort(AbortRequest request, ServerCallContext context)
    {
        ServedModel model = Model(context);
        foreach (string id in request.RequestIds)
        {
            model.Engine.Abort(id, Engine.Admission.FinishReason.Cancelled);
        }

        return Task.FromResult(new AbortResponse());
    }

    /// <inheritdoc/>
    public override Task<GetModelInfoResponse> GetModelInfo(GetModelInfoRequest request, ServerCallContext context)
    {
        ServedModel model = Model(context);
        CheckpointFacts facts = CheckpointFacts.Of(model);
        var response = new GetModelInfoResponse
        {
            ModelPath = model.Name,
            IsGeneration = true,
            MaxContextLength = (uint)model.ContextTokens,
            VocabSize = (uint)model.VocabularySize,
            ServedModelName = model.Name,
            TokenizerPath = model.Name,
            ModelType = facts.ModelType,
            PadTokenId = facts.PadTokenId,
            BosTokenId = facts.BosTokenId,
            MaxReqInputLen = model.ContextTokens - 1,
            DefaultSamplingParamsJson = DefaultsOf(model),
        };
        response.Architectures.Add(facts.Architectures);
        response.EosTokenIds.Add(model.Text.StopTokenIds);
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<GetServerInfoResponse> GetServerInfo(GetServerInfoRequest request, ServerCallContext context)
    {
        long received = Interlocked.Read(ref _lastReceivedTicks);
        return Task.FromResult(new GetServerInfoResponse
        {
            ActiveRequests = (uint)drain.LiveRequestCount,
            IsPaused = catalog.Models.Any(model => model.Engine.Status.Pause != Engine.Running.PauseMode.None),
            LastReceiveTimestamp = received == 0 ? 0 : ServerIdentity.UnixSeconds(new DateTimeOffset(received, TimeSpan.Zero)),
            UptimeSeconds = identity.Uptime.TotalSeconds,
            ServerType = SoftwareVersion.Name,
            DataParallelSize = catalog.Models.Select(model => model.Replicas.Replicas.Count).DefaultIfEmpty(1).Max(),
        });
    }

    /// <inheritdoc/>
    public override Task<GetLoadsResponse> GetLoads(GetLoadsRequest request, ServerCallContext context)
    {
        ServedModel model = Model(context);
        IReadOnlyList<IEngine> engines = model.Replicas.Replicas;
        if (request.HasDpRank && (request.DpRank < 0 || request.DpRank >= engines.Count))
        {
            string ranks = engines.Count == 1 ? "0, the only rank" : $"0..{engines.Count - 1}";
            throw RejectionStatus.ToException(FieldCheck.Invalid("dp_rank", ranks, FieldCheck.Text(request.DpRank)));
        }

        var response = new GetLoadsResponse
        {
            Timestamp = time.GetUtcNow().ToString("O", CultureInfo.InvariantCulture),
            Version = SoftwareVersion.Version,
            DpRankCount = engines.Count,
        };
        for (int rank = 0; rank < engines.Count; rank++)
        {
            if (!request.HasDpRank || request.DpRank == rank)
            {
                response.Loads.Add(LoadOf(model, rank));
            }
        }

        return Task.FromResult(response);
    }

    private SchedulerLoad LoadOf(ServedModel model, int rank)
    {
        EngineStatus status = model.Replicas.Replicas[rank].Status;
        ExecutorGeometry geometry = model.Replicas.Replicas[rank].Geometry;
        return new SchedulerLoad
        {
            DpRank = rank,
            NumRunningReqs = status.Running,
            NumWaitingReqs = status.Waiting,
            NumTotalReqs = status.Running + status.Waiting,
            NumUsedTokens = status.BlocksInUse * geometry.BlockTokens,
            MaxTotalNumTokens = status.BlockCount * geometry.BlockTokens,
            TokenUsage = (double)status.BlocksInUse / status.BlockCount,
            GenThroughput = _throughput.Since($"{model.Name}/{rank}", status.GeneratedTokens),
            CacheHitRate = status.PrefixQueries == 0 ? 0 : (double)status.PrefixHits / status.PrefixQueries,
            Utilization = (double)status.Running / geometry.MaxSequences,
            MaxRunningRequests = geometry.MaxSequences,
        };
    }

    /// <inheritdoc/>
    public override async Task GetTokenizer(
        GetTokenizerRequest request, IServerStreamWriter<GetTokenizerChunk> responseStream, ServerCallContext context)
    {
        (ReadOnlyMemory<byte> bytes, string sha256) = await archive.PackAsync(Model(context), context.CancellationToken);
        for (int start = 0; start < bytes.Length; start += ChunkBytes)
        {
            int count = Math.Min(ChunkBytes, bytes.Length - start);
            await responseStream.WriteAsync(
                new GetTokenizerChunk
                {
                    Data = UnsafeByteOperations.UnsafeWrap(bytes.Slice(start, count)),
                    Sha256 = start + count == bytes.Length ? sha256 : string.Empty,
                },
                context.CancellationToken);
        }
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task SubscribeKvEvents(
        SubscribeRequest request,
        IServerStreamWriter<EventBatch> responseStream,
        ServerCallContext context)
    {
        if (!subscriptions.TryEnter(out IDisposable? place, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        using (place)
        using (KvEventReader events = KvEventReader.Open(Model(context), null, null, catalog, time))
        {
            KvEventPosition.Seek(events, request.StartSequenceNumber, request.StartSequenceNumber + 1, "start_sequence_number");
            // A subscriber waits for the headers before it trusts that it misses nothing.
            await context.WriteResponseHeadersAsync([]);
            await end.RunAsync(token => SendAsync(events, responseStream, token), context.CancellationToken);
        }
    }

    private static async Task SendAsync(
        KvEventReader events, IServerStreamWriter<EventBatch> stream, CancellationToken token)
    {
        while (true)
        {
            switch (events.TryRead())
            {
                case KvReadResult.Read:
                    await stream.WriteAsync(Wire(events.Current), token);
                    break;
                case KvReadResult.Lost:
                    throw KvEventPosition.Overtaken();
                default:
                    await events.WaitAsync(token);
                    break;
            }
        }
    }

    private static EventBatch Wire(Engine.Blocks.KvEvent change)
    {
        var wire = new KvCacheEvent { EventId = (ulong)change.Sequence };
        switch (change.Kind)
        {
            case KvEventKind.Stored:
                var block = new KvBlock { BlockHash = Low(change.Hash), BlockSize = change.TokenIds.Length };
                foreach (int id in change.TokenIds)
                {
                    block.TokenIds.Add((uint)id);
                }

                wire.Stored = new KvBlocksStored { Blocks = { block } };
                if (change.Parent is { } parent)
                {
                    wire.Stored.ParentBlockHash = Low(parent);
                }

                break;
            case KvEventKind.Removed:
                wire.Removed = new KvBlocksRemoved { BlockHashes = { Low(change.Hash) } };
                break;
            default:
                wire.Cleared = new KvCacheCleared();
                break;
        }

        return new EventBatch
        {
            SequenceNumber = (ulong)change.Sequence,
            Timestamp = ServerIdentity.UnixSeconds(change.Time),
            Events = { wire },
        };
    }

    private static long Low(UInt128 hash) => unchecked((long)(ulong)hash);

    private static string DefaultsOf(ServedModel model)
    {
        GenerationOptions defaults = RequestReader.Defaults(model);
        SamplingParameters sampling = defaults.Sampling;
        var named = new Dictionary<string, object>
        {
            ["temperature"] = sampling.Temperature,
            ["top_p"] = sampling.TopP,
            ["top_k"] = sampling.TopK,
            ["min_p"] = sampling.MinP,
            ["repetition_penalty"] = sampling.RepetitionPenalty,
        };
        if (defaults.Stop.HasMaxTokens)
        {
            named["max_tokens"] = defaults.Stop.MaxTokens;
        }

        return JsonSerializer.Serialize(named);
    }

    private ServedModel Model(ServerCallContext context) => catalog.Find(context.RequestHeaders.GetValue(ModelKey), ModelKey);
}
