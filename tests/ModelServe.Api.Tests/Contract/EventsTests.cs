using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Contract;

/// <summary>Followers of the prefix cache and of the server's state see everything, or are told what they miss.</summary>
public sealed class EventsTests(SyntheticCheckpoint checkpoint) : ContractTest(checkpoint)
{
    [Fact]
    public async Task Stored_blocks_carry_hashes_parents_and_tokens()
    {
        await using WireServer server = await StartAsync();
        using AsyncServerStreamingCall<KvEventBatch> call = Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest(), cancellationToken: Token);
        KvEventBatch first = await NextAsync(call);
        Assert.Empty(first.Events);
        Assert.Equal(("fake", 0L, 16), (first.Model, first.LastSequence, first.BlockTokens));
        await server.Client.GenerateOnceAsync(Prompt(2, text: new string('x', 40)), cancellationToken: Token);
        List<KvEvent> events = await TakeAsync(call, 2);
        Assert.Equal([1L, 2L], events.Select(change => change.Sequence));
        Assert.False(events[0].Stored.HasParentHash);
        Assert.Equal(events[0].Stored.Hash, events[1].Stored.ParentHash);
        Assert.Equal(16, events[0].Stored.Hash.Length);
        Assert.Equal(Enumerable.Repeat((uint)'x', 16), events[0].Stored.TokenIds);
        Assert.InRange(DateTimeOffset.FromUnixTimeMilliseconds(events[0].UnixMicroseconds / 1000), DateTimeOffset.UnixEpoch.AddYears(50), DateTimeOffset.MaxValue);
    }

    [Fact]
    public async Task A_follower_that_comes_back_gets_what_it_missed()
    {
        await using WireServer server = await StartAsync();
        await server.Client.GenerateOnceAsync(Prompt(2, text: new string('a', 40)), cancellationToken: Token);
        await Control(server).FlushPrefixCacheAsync(new FlushPrefixCacheRequest(), cancellationToken: Token);
        ulong epoch;
        using (AsyncServerStreamingCall<KvEventBatch> all = Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { AfterSequence = 0 }, cancellationToken: Token))
        {
            epoch = (await NextAsync(all)).Epoch;
            Assert.Equal([KvEvent.ChangeOneofCase.Stored, KvEvent.ChangeOneofCase.Stored, KvEvent.ChangeOneofCase.Cleared], (await TakeAsync(all, 3)).Select(change => change.ChangeCase));
        }

        using AsyncServerStreamingCall<KvEventBatch> again = Events(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { AfterSequence = 2, Epoch = epoch }, cancellationToken: Token);
        Assert.Null((await NextAsync(again)).Lost);
        Assert.Equal(3, (await TakeAsync(again, 1))[0].Sequence);

        using AsyncServerStreamingCall<KvEventBatch> foreign = Events(server).SubscribeKvEvents(
            new SubscribeKvEventsRequest { AfterSequence = 2, Epoch = epoch ^ 1 }, cancellationToken: Token);
        Assert.NotNull((await NextAsync(foreign)).Lost);
        Assert.Equal(1, (await TakeAsync(foreign, 3))[0].Sequence);
    }

    [Fact]
    public async Task A_follower_is_told_which_events_are_lost()
    {
        using var fake = new FakeModel(options: new EngineOptions { KvEventCapacity = 4 });
        await using WireServer server = await StartAsync(null, fake);
        for (int i = 0; i < 6; i++)
        {
            await server.Client.GenerateOnceAsync(Prompt(1, text: new string((char)('a' + i), 40)), cancellationToken: Token);
        }

        using AsyncServerStreamingCall<KvEventBatch> call = Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { AfterSequence = 0 }, cancellationToken: Token);
        KvEventBatch first = await NextAsync(call);
        Assert.Equal(12, first.LastSequence);
        KvEventBatch lossy = await NextAsync(call);
        Assert.Equal(1, lossy.Lost.FirstSequence);
        Assert.Equal(lossy.Lost.LastSequence + 1, lossy.Events[0].Sequence);
        Assert.Equal(12, lossy.Events[^1].Sequence);
    }

    [Fact]
    public async Task A_subscription_ends_when_its_model_goes_or_the_server_stops()
    {
        WireServer server = await StartLoadingAsync();
        await LoadAsync(server);
        using AsyncServerStreamingCall<KvEventBatch> gone = Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { Model = "extra" }, cancellationToken: Token);
        AsyncServerStreamingCall<KvEventBatch> stopped = Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { Model = "fake" }, cancellationToken: Token);
        await NextAsync(gone);
        await NextAsync(stopped);
        await ReadAllAsync(Models(server).Unload(new UnloadModelRequest { Model = "extra" }, cancellationToken: Token));
        await FailsAsync(gone, StatusCode.FailedPrecondition);
#pragma warning disable CA2025 // The task ends before the call is disposed, which happens at the end of the test.
        Task<RpcException> end = FailsAsync(stopped, StatusCode.Unavailable);
#pragma warning restore CA2025
        await server.StopAsync();
        await end;
        await server.DisposeAsync();
    }

    [Fact]
    public async Task Bad_positions_and_too_many_followers_are_refused()
    {
        await using WireServer server = await StartAsync();
        await FailsAsync(Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { AfterSequence = -1 }, cancellationToken: Token), StatusCode.InvalidArgument);
        await FailsAsync(Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { Epoch = 1 }, cancellationToken: Token), StatusCode.InvalidArgument);
        await FailsAsync(Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest { Model = "none" }, cancellationToken: Token), StatusCode.NotFound);
        List<AsyncServerStreamingCall<KvEventBatch>> many = [];
        for (int i = 0; i < 256; i++)
        {
            many.Add(Events(server).SubscribeKvEvents(new SubscribeKvEventsRequest(), cancellationToken: Token));
            await NextAsync(many[^1]);
        }

        await FailsAsync(Events(server).WatchServer(new WatchServerRequest(), cancellationToken: Token), StatusCode.ResourceExhausted);
        many.ForEach(call => call.Dispose());
    }

    [Fact]
    public async Task A_watcher_sees_models_come_and_go_and_the_drain()
    {
        await using WireServer server = await StartLoadingAsync();
        using AsyncServerStreamingCall<ServerEvent> watch = Events(server).WatchServer(new WatchServerRequest(), cancellationToken: Token);
        Assert.Equal(new ServerEvent { Model = new ModelStateChanged { Model = "fake", State = ModelState.Serving } }, await NextAsync(watch));
        Assert.Equal(new ServerEvent { Drain = new DrainChanged { Draining = false } }, await NextAsync(watch));
        Loader.Hold();
        Task load = LoadAsync(server);
        Assert.Equal(ModelState.Loading, (await NextAsync(watch)).Model.State);
        Loader.Release();
        await load;
        Assert.Equal(ModelState.Serving, (await NextAsync(watch)).Model.State);
        await Control(server).PauseAsync(new PauseRequest { Model = "extra" }, cancellationToken: Token);
        Assert.Equal(new ModelStateChanged { Model = "extra", State = ModelState.Paused }, (await NextAsync(watch)).Model);
        server.Drain.Begin();
        List<ServerEvent> rest = [await NextAsync(watch), await NextAsync(watch)];
        Assert.Contains(rest, change => change.Model is { Model: "fake", State: ModelState.Draining });
        Assert.Contains(rest, change => change.Drain is { Draining: true });
    }

    private static async Task<T> NextAsync<T>(AsyncServerStreamingCall<T> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(Token));
        return call.ResponseStream.Current;
    }

    private static async Task<List<KvEvent>> TakeAsync(AsyncServerStreamingCall<KvEventBatch> call, int count)
    {
        List<KvEvent> events = [];
        while (events.Count < count)
        {
            events.AddRange((await NextAsync(call)).Events);
        }

        return events;
    }
}
