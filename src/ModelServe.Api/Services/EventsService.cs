using System.Buffers.Binary;
using Google.Protobuf;
using Grpc.Core;
using ModelServe.Api.Health;
using ModelServe.Api.Models;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Blocks;
using ModelServe.V1;
using LogEvent = ModelServe.Engine.Blocks.KvEvent;

namespace ModelServe.Api.Services;

/// <summary>What changes, over gRPC. Thread-safe.</summary>
[RequiresAdmin]
internal sealed class EventsService(
    ModelCatalog catalog, ModelDescription description, ServerDrain drain, Subscriptions subscriptions, ServerEnd end, TimeProvider time)
    : Events.EventsBase
{
    private const int LargestBatch = 256;
    private static readonly TimeSpan WatchPeriod = TimeSpan.FromMilliseconds(50);

    /// <inheritdoc/>
    public override Task SubscribeKvEvents(
        SubscribeKvEventsRequest request, IServerStreamWriter<KvEventBatch> responseStream, ServerCallContext context)
    {
        if (!catalog.TryFind(request.Model, out ServedModel? model, out Rejection? rejection)
            || (rejection = CheckPosition(request)) is not null)
        {
            throw RejectionStatus.ToException(rejection);
        }

        return FollowAsync(token => SendAsync(model, request, responseStream, token), context);
    }

    /// <inheritdoc/>
    public override Task WatchServer(
        WatchServerRequest request, IServerStreamWriter<ServerEvent> responseStream, ServerCallContext context) =>
        FollowAsync(token => WatchAsync(responseStream, token), context);

    private async Task FollowAsync(Func<CancellationToken, Task> call, ServerCallContext context)
    {
        if (!subscriptions.TryEnter(out IDisposable? place, out Rejection? rejection))
        {
            throw RejectionStatus.ToException(rejection);
        }

        using (place)
        {
            await end.RunAsync(call, context.CancellationToken);
        }
    }

    private static Rejection? CheckPosition(SubscribeKvEventsRequest request) =>
        request.HasAfterSequence && request.AfterSequence < 0
            ? FieldCheck.Invalid("after_sequence", "an integer, at least 0", "a negative one")
        : request.HasEpoch && !request.HasAfterSequence
            ? FieldCheck.Invalid("epoch", "absent without after_sequence", "set")
        : null;

    private async Task SendAsync(
        ServedModel model, SubscribeKvEventsRequest request, IServerStreamWriter<KvEventBatch> stream, CancellationToken token)
    {
        int? engine = request.HasEngine ? request.Engine : null;
        using KvEventReader reader = KvEventReader.Open(model, engine, "engine", catalog, time);
        KvEventBatch first = Empty(model, engine ?? 0, reader);
        if (request.HasAfterSequence)
        {
            bool otherEpoch = request.HasEpoch && request.Epoch != reader.Log.Epoch;
            // A number beyond the newest belongs to an earlier run of the server.
            bool isKnown = !otherEpoch && request.AfterSequence <= reader.Log.LastSequence;
            reader.Next = isKnown ? request.AfterSequence + 1 : 1;
            first.Lost = isKnown ? null : new LostEvents { FirstSequence = 1, LastSequence = Math.Max(0, reader.Log.FirstSequence - 1) };
        }

        await stream.WriteAsync(first, token);
        while (true)
        {
            KvEventBatch batch = Empty(model, engine ?? 0, reader);
            Fill(batch, reader);
            if (batch.Events.Count > 0 || batch.Lost is not null)
            {
                await stream.WriteAsync(batch, token);
            }
            else
            {
                await reader.WaitAsync(token);
            }
        }
    }

    private static void Fill(KvEventBatch batch, KvEventReader reader)
    {
        while (batch.Events.Count < LargestBatch)
        {
            switch (reader.TryRead())
            {
                case KvReadResult.Read:
                    batch.Events.Add(Wire(reader.Current));
                    break;
                case KvReadResult.Lost when batch.Events.Count == 0:
                    // Half a ring further on, so that a writer in full flow does not overtake the reader again at once.
                    long next = reader.Log.FirstSequence + (reader.Log.Capacity / 2);
                    batch.Lost ??= new LostEvents { FirstSequence = reader.Next };
                    batch.Lost.LastSequence = next - 1;
                    reader.Next = next;
                    break;
                default:
                    return;
            }
        }
    }

    private static KvEventBatch Empty(ServedModel model, int engine, KvEventReader reader) => new()
    {
        Model = model.Name,
        Engine = engine,
        Epoch = reader.Log.Epoch,
        LastSequence = reader.Log.LastSequence,
        BlockTokens = reader.Log.BlockTokens,
    };

    private static V1.KvEvent Wire(LogEvent change)
    {
        var wire = new V1.KvEvent
        {
            Sequence = change.Sequence,
            UnixMicroseconds = (change.Time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond,
        };
        switch (change.Kind)
        {
            case KvEventKind.Stored:
                wire.Stored = new BlockStored { Hash = Bytes(change.Hash) };
                if (change.Parent is { } parent)
                {
                    wire.Stored.ParentHash = Bytes(parent);
                }

                foreach (int id in change.TokenIds)
                {
                    wire.Stored.TokenIds.Add((uint)id);
                }

                break;
            case KvEventKind.Removed:
                wire.Removed = new BlockRemoved { Hash = Bytes(change.Hash) };
                break;
            default:
                wire.Cleared = new CacheCleared();
                break;
        }

        return wire;
    }

    /// <summary>A hash as 16 bytes, most significant first.</summary>
    internal static ByteString Bytes(UInt128 hash)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, hash);
        return ByteString.CopyFrom(bytes);
    }

    private async Task WatchAsync(IServerStreamWriter<ServerEvent> stream, CancellationToken token)
    {
        Dictionary<string, ModelState> told = new(StringComparer.Ordinal);
        bool? drained = null;
        using var timer = new PeriodicTimer(WatchPeriod, time);
        do
        {
            foreach (CatalogEntry entry in catalog.Entries)
            {
                ModelState state = description.State(entry);
                if (!told.TryGetValue(entry.Name, out ModelState before) || before != state)
                {
                    told[entry.Name] = state;
                    await stream.WriteAsync(
                        new ServerEvent { Model = new ModelStateChanged { Model = entry.Name, State = state } }, token);
                }
            }

            if (drained != drain.IsDraining)
            {
                drained = drain.IsDraining;
                await stream.WriteAsync(new ServerEvent { Drain = new DrainChanged { Draining = drained.Value } }, token);
            }
        }
        while (await timer.WaitForNextTickAsync(token));
    }
}
