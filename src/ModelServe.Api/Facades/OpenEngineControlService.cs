using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Api.Services;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;
using ModelServe.Facades.OpenEngine;
using ModelServe.V1;
using Own = ModelServe.V1.GenerateRequest;
using Theirs = ModelServe.Facades.OpenEngine;

namespace ModelServe.Api.Facades;

/// <summary>openengine.v1.Control. Thread-safe.</summary>
internal sealed class OpenEngineControlService(
    ModelCatalog catalog,
    RequestReader reader,
    GenerationCall calls,
    HealthReporter health,
    ServerDrain drain,
    ServerIdentity identity,
    ApiOptions options,
    Subscriptions subscriptions,
    ServerEnd end,
    TimeProvider time)
    : Theirs.Control.ControlBase
{
    private const uint SchemaRevision = 1;
    private const string SchemaRelease = "v0.1.0";

    /// <inheritdoc/>
    public override Task<ServerInfo> GetServerInfo(GetServerInfoRequest request, ServerCallContext context)
    {
        var info = new ServerInfo
        {
            EngineName = SoftwareVersion.Name,
            EngineVersion = SoftwareVersion.Version,
            EngineRole = EngineRole.Aggregated,
            InstanceId = identity.InstanceId,
            Parallelism = new ParallelismInfo { TensorParallelSize = 1, PipelineParallelSize = 1, DataParallelSize = (uint)catalog.Models.Select(model => model.Replicas.Replicas.Count).DefaultIfEmpty(1).Max() },
            KvConnector = new KvConnectorInfo { Enabled = false },
            SchemaRevision = SchemaRevision,
            MinimumClientRevision = SchemaRevision,
            SchemaRelease = SchemaRelease,
        };
        info.SupportedModels.Add(catalog.Models.Select(model => model.Name));
        if (catalog.Models is [var first, ..] && first.Engine.Geometry is var geometry)
        {
            info.Capacity = new DeploymentCapacity
            {
                KvBlockSize = (uint)geometry.BlockTokens,
                TotalKvBlocks = (ulong)(geometry.BlockCount - 1),
                MaxRunningRequests = (ulong)geometry.MaxSequences,
                MaxBatchedTokens = (ulong)geometry.MaxBatchedTokens,
                MaxLoras = 0,
            };
        }

        return Task.FromResult(info);
    }

    /// <inheritdoc/>
    public override Task<ModelInfo> GetModelInfo(GetModelInfoRequest request, ServerCallContext context)
    {
        ServedModel model = catalog.Find(request.Model, "model");
        return Task.FromResult(new ModelInfo
        {
            ModelId = model.Name,
            ServedModelName = model.Name,
            MaxContextLength = (uint)model.ContextTokens,
            MaxOutputTokens = (uint)(model.ContextTokens - 1),
            SupportsTextInput = true,
            SupportsTokenIdsInput = true,
            SupportsLora = false,
            SupportsMultimodal = false,
            Generation = new GenerationCapabilities
            {
                PromptLogprobs = new LogprobCapabilities
                {
                    Supported = true,
                    MaxTopN = (uint)options.Limits.TopLogprobs,
                    CandidateSelectionModes = { CandidateTokenSelectionMode.TopN },
                },
                OutputLogprobs = new LogprobCapabilities
                {
                    Supported = true,
                    MaxTopN = (uint)options.Limits.TopLogprobs,
                    CandidateSelectionModes = { CandidateTokenSelectionMode.TopN },
                },
                GuidedDecoding = new GuidedDecodingCapabilities
                {
                    Supported = true,
                    Modes =
                    {
                        GuidedDecodingMode.JsonSchema, GuidedDecodingMode.Regex, GuidedDecodingMode.EbnfGrammar, GuidedDecodingMode.Choice, GuidedDecodingMode.JsonObject,
                    },
                },
                MaxNumSequences = 1,
                SupportsPriority = true,
                SupportsStopInOutput = true,
                SupportsCacheSalt = true,
                SupportsPrefixCacheBypass = true,
            },
        });
    }

    /// <inheritdoc/>
    public override Task<LoadInfo> GetLoad(GetLoadRequest request, ServerCallContext context)
    {
        EngineStatus[] all = [.. catalog.Models.Select(model => model.Engine.Status)];
        var load = new LoadInfo
        {
            InstanceId = identity.InstanceId,
            TimestampUnixNanos = ServerIdentity.UnixNanoseconds(time.GetUtcNow()),
            RunningRequests = (uint)all.Sum(status => status.Running),
            QueuedRequests = (uint)all.Sum(status => status.Waiting),
            ActiveKvSessions = 0,
            UsedKvBlocks = (ulong)all.Sum(status => (long)status.BlocksInUse),
            TotalKvBlocks = (ulong)all.Sum(status => (long)status.BlockCount),
            WaitingTokens = (ulong)all.Sum(status => status.WaitingTokens),
        };
        if (request.IncludePerRank)
        {
            // Rank n is the nth engine of every model: they share its device.
            load.Ranks.AddRange(catalog.Models.SelectMany(model => model.Replicas.Replicas.Select((engine, rank) => (rank, engine.Status)))
                .GroupBy(engine => engine.rank, engine => engine.Status)
                .Select(rank => new RankLoadInfo
                {
                    DataParallelRank = (uint)rank.Key,
                    RunningRequests = (uint)rank.Sum(status => status.Running),
                    QueuedRequests = (uint)rank.Sum(status => status.Waiting),
                    UsedKvBlocks = (ulong)rank.Sum(status => (long)status.BlocksInUse),
                    TotalKvBlocks = (ulong)rank.Sum(status => (long)status.BlockCount),
                }));
        }

        return Task.FromResult(load);
    }

    /// <inheritdoc/>
    public override async Task<HealthResponse> Health(HealthRequest request, ServerCallContext context)
    {
        var response = new HealthResponse();
        Add(response, "scheduler", StateOf(request.Model));
        if (request.Role is not (EngineRole.Unspecified or EngineRole.Aggregated))
        {
            Add(response, "role", HealthState.NotReady);
        }

        if (request.IncludeInferenceProbe)
        {
            Add(response, "inference_probe", await ProbeAsync(request.Model, context));
        }

        response.State = response.Checks.Select(check => check.State).FirstOrDefault(state => state != HealthState.Ready, HealthState.Ready);
        return response;
    }

    /// <inheritdoc/>
    public override Task<Theirs.AbortResponse> Abort(Theirs.AbortRequest request, ServerCallContext context)
    {
        switch (request.TargetCase)
        {
            case Theirs.AbortRequest.TargetOneofCase.RequestId:
                bool found = false;
                foreach (ServedModel model in catalog.Models)
                {
                    found |= model.Engine.Abort(request.RequestId, Engine.Admission.FinishReason.Cancelled);
                }

                return found
                    ? Task.FromResult(new Theirs.AbortResponse { Status = AbortStatus.Aborted })
                    : throw Refuse(RejectionReason.UnknownRequest, "request_id", "a live request", FieldCheck.Quote(request.RequestId));
            case Theirs.AbortRequest.TargetOneofCase.None:
                throw RejectionStatus.ToException(FieldCheck.Invalid("target", "request_id", "none"));
            default:
                throw RejectionStatus.ToException(FacadeFields.Unsupported("target other than request_id"));
        }
    }

    /// <inheritdoc/>
    [RequiresAdmin]
    public override Task<LoadLoraResponse> LoadLora(LoadLoraRequest request, ServerCallContext context) =>
        throw Refuse(RejectionReason.LoadRefused, "adapter", "a server with adapters", "one without");

    /// <inheritdoc/>
    [RequiresAdmin]
    public override Task<UnloadLoraResponse> UnloadLora(UnloadLoraRequest request, ServerCallContext context) =>
        throw Refuse(RejectionReason.LoadRefused, "lora_name", "a server with adapters", "one without");

    /// <inheritdoc/>
    public override Task<ListLorasResponse> ListLoras(ListLorasRequest request, ServerCallContext context) =>
        Task.FromResult(new ListLorasResponse());

    /// <inheritdoc/>
    public override Task<GetKvEventSourcesResponse> GetKvEventSources(GetKvEventSourcesRequest request, ServerCallContext context) =>
        Task.FromResult(new GetKvEventSourcesResponse());

    /// <inheritdoc/>
    [RequiresAdmin]
    public override async Task SubscribeKvEvents(
        Theirs.SubscribeKvEventsRequest request,
        IServerStreamWriter<SubscribeKvEventsResponse> responseStream,
        ServerCallContext context)
    {
        if (FacadeFields.Unsupported(request.IncludeSnapshot, "include_snapshot") is { } unsupported)
        {
            throw RejectionStatus.ToException(unsupported);
        }

        if (request.DataParallelRanks.Count > 1)
        {
            throw RejectionStatus.ToException(FieldCheck.Invalid("data_parallel_ranks", "at most one a call", FieldCheck.Text(request.DataParallelRanks.Count)));
        }

        int? rank = request.DataParallelRanks is [var given] ? (int)Math.Min(given, int.MaxValue) : null;
        if (!subscriptions.TryEnter(out IDisposable? place, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        using (place)
        using (KvEventReader events = KvEventReader.Open(catalog.Find(null, "model"), rank, "data_parallel_ranks", catalog, time))
        {
            KvEventPosition.Seek(events, request.StartSequenceNumber, request.StartSequenceNumber, "start_sequence_number");
            await context.WriteResponseHeadersAsync([]);
            await end.RunAsync(token => SendAsync(events, (uint)(rank ?? 0), responseStream, token), context.CancellationToken);
        }
    }

    private static async Task SendAsync(
        KvEventReader events, uint rank, IServerStreamWriter<SubscribeKvEventsResponse> stream, CancellationToken token)
    {
        while (true)
        {
            switch (events.TryRead())
            {
                case KvReadResult.Read:
                    await stream.WriteAsync(new SubscribeKvEventsResponse { Batch = Wire(events.Current, rank) }, token);
                    break;
                case KvReadResult.Lost:
                    // After acceptance this interface ends a stream by an event, not by a status.
                    await stream.WriteAsync(
                        new SubscribeKvEventsResponse
                        {
                            Error = new EngineError
                            {
                                Code = Theirs.ErrorCode.Overloaded,
                                Message = KvEventPosition.Overtaken().Status.Detail,
                                Retryable = true,
                            },
                        },
                        token);
                    return;
                default:
                    await events.WaitAsync(token);
                    break;
            }
        }
    }

    private static Theirs.KvEventBatch Wire(Engine.Blocks.KvEvent change, uint rank)
    {
        var wire = new Theirs.KvEvent();
        switch (change.Kind)
        {
            case KvEventKind.Stored:
                wire.BlockStored = new Theirs.BlockStored
                {
                    BlockHashes = { Hash(change.Hash) },
                    ParentBlockHash = change.Parent is { } parent ? Hash(parent) : null,
                    BlockSize = (uint)change.TokenIds.Length,
                };
                foreach (int id in change.TokenIds)
                {
                    wire.BlockStored.TokenIds.Add((uint)id);
                }

                break;
            case KvEventKind.Removed:
                wire.BlockRemoved = new Theirs.BlockRemoved { BlockHashes = { Hash(change.Hash) } };
                break;
            default:
                wire.AllBlocksCleared = new AllBlocksCleared();
                break;
        }

        return new Theirs.KvEventBatch
        {
            SequenceNumber = (ulong)change.Sequence,
            TimestampUnixNanos = ServerIdentity.UnixNanoseconds(change.Time),
            DataParallelRank = rank,
            Events = { wire },
        };
    }

    private static KvBlockHash Hash(UInt128 hash) => new() { Value = EventsService.Bytes(hash), Encoding = "bytes" };

    private HealthState StateOf(string model)
    {
        ServedModel[] meant = model.Length == 0 ? [.. catalog.Models] : [catalog.Find(model, "model")];
        ModelCondition worst = meant.Select(health.Condition).DefaultIfEmpty(ModelCondition.Serving).Max();
        return drain.IsDraining ? HealthState.Draining : worst switch
        {
            ModelCondition.Serving => HealthState.Ready,
            ModelCondition.Draining => HealthState.Draining,
            _ => HealthState.NotReady,
        };
    }

    private async Task<HealthState> ProbeAsync(string model, ServerCallContext context)
    {
        var probe = new Own
        {
            Model = model.Length > 0 ? model : catalog.Models is [var first, ..] ? first.Name : string.Empty,
            TokenIds = new V1.TokenIds { Ids = { 0 } },
            Options = new GenerationOptions { BypassPrefixCache = true, Stop = new StopConditions { MaxTokens = 1 } },
        };
        if (reader.Read(probe, GenerationCall.CallerOf(context), out ReadRequest? read) is not null)
        {
            return HealthState.NotReady;
        }

        try
        {
            await calls.CollectAsync(read!, context);
            return HealthState.Ready;
        }
        catch (RpcException exception) when (exception.StatusCode is not (StatusCode.Cancelled or StatusCode.DeadlineExceeded))
        {
            return HealthState.NotReady;
        }
    }

    private static void Add(HealthResponse response, string name, HealthState state) =>
        response.Checks.Add(new HealthCheck { Name = name, State = state });

    private static RpcException Refuse(RejectionReason reason, string field, string limit, string value) =>
        RejectionStatus.ToException(new Rejection(reason, field, limit, value));
}
