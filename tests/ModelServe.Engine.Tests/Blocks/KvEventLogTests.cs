using ModelServe.Engine.Blocks;
using ModelServe.Engine.Running;
using ModelServe.Engine.Tests.Running;

namespace ModelServe.Engine.Tests.Blocks;

/// <summary>The log tells exactly what the prefix index does, and a reader never sees half an event.</summary>
public sealed class KvEventLogTests
{
    [Fact]
    public void Stored_blocks_come_with_tokens_and_parent_in_order()
    {
        using var scenario = new EngineScenario();
        int[] prompt = EngineScenario.Prompt(9);
        scenario.Admit(EngineScenario.Request("a", prompt, 1));
        scenario.RunToEnd();
        KvEvent[] events = ReadAll(scenario.Engine.KvEvents!);
        Assert.Equal([KvEventKind.Stored, KvEventKind.Stored], events.Select(e => e.Kind));
        Assert.Equal([1L, 2L], events.Select(e => e.Sequence));
        Assert.Null(events[0].Parent);
        Assert.Equal(events[0].Hash, events[1].Parent);
        Assert.Equal(prompt[..4], events[0].TokenIds.ToArray());
        Assert.Equal(prompt[4..8], events[1].TokenIds.ToArray());
        Assert.Equal(scenario.Time.GetUtcNow(), events[0].Time);
    }

    [Fact]
    public void A_follower_of_the_log_knows_exactly_the_blocks_of_the_index()
    {
        // 8 blocks for prompts that need up to 4 each, so that blocks are evicted all the time.
        var geometry = EngineScenario.Small with { BlockCount = 17 };
        using var scenario = new EngineScenario(geometry);
        HashSet<UInt128> known = [];
        for (int i = 0; i < 60; i++)
        {
            scenario.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(10 + (i % 7), i % 9), 5));
            scenario.RunToEnd();
        }

        foreach (KvEvent change in ReadAll(scenario.Engine.KvEvents!))
        {
            Assert.True(change.Kind switch
            {
                KvEventKind.Stored => known.Add(change.Hash),
                KvEventKind.Removed => known.Remove(change.Hash),
                _ => false,
            });
        }

        Assert.Equal(scenario.Engine.Planner.Ledger.Index!.Count, known.Count);
    }

    [Fact]
    public void A_flush_is_one_event()
    {
        using var scenario = new EngineScenario();
        scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(9), 1));
        scenario.RunToEnd();
        _ = scenario.Engine.FlushPrefixCacheAsync(TestContext.Current.CancellationToken);
        scenario.Step();
        Assert.Equal(KvEventKind.Cleared, ReadAll(scenario.Engine.KvEvents!)[^1].Kind);
    }

    [Fact]
    public void An_overwritten_event_is_reported_lost_and_the_oldest_one_is_named()
    {
        var log = new KvEventLog(4, 2);
        for (int i = 1; i <= 6; i++)
        {
            log.WriteStored((ulong)i, 0, PrefixIndex.Root(0), [i, i]);
        }

        var target = new KvEvent(2);
        Assert.Equal(3, log.FirstSequence);
        Assert.Equal(6, log.LastSequence);
        Assert.Equal(KvReadResult.Lost, log.TryRead(2, target));
        Assert.Equal(KvReadResult.Read, log.TryRead(3, target));
        Assert.Equal((UInt128)3, target.Hash);
        Assert.Equal(KvReadResult.NotYet, log.TryRead(7, target));
    }

    [Fact]
    public async Task A_reader_that_is_overtaken_never_sees_half_an_event()
    {
        const int Tokens = 16;
        var log = new KvEventLog(8, Tokens);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task writer = Task.Run(() =>
        {
            var tokens = new int[Tokens];
            for (int i = 1; !stop.IsCancellationRequested; i++)
            {
                tokens.AsSpan().Fill(i);
                log.WriteStored((ulong)i, (ulong)i, new PrefixChain((ulong)i, (ulong)i, 1, 0), tokens);
            }
        }, TestContext.Current.CancellationToken);
        var target = new KvEvent(Tokens);
        int read = 0;
        for (int attempt = 0; attempt < 2_000_000 && read < 20_000; attempt++)
        {
            long sequence = Math.Max(1, log.LastSequence - (attempt % 8));
            if (log.TryRead(sequence, target) == KvReadResult.Read)
            {
                read++;
                Assert.Equal(new UInt128((ulong)sequence, (ulong)sequence), target.Hash);
                Assert.Equal(target.Hash, target.Parent);
                Assert.Equal(-1, target.TokenIds.IndexOfAnyExcept((int)sequence));
            }
        }

        await stop.CancelAsync();
        await writer;
        Assert.True(read > 0);
    }

    [Fact]
    public void No_log_is_kept_when_it_is_switched_off()
    {
        using var scenario = new EngineScenario(options: new EngineOptions { KvEventCapacity = 0 });
        Assert.Null(scenario.Engine.KvEvents);
    }

    [Fact]
    public void Writing_allocates_nothing()
    {
        var log = new KvEventLog(64, 2);
        int[] tokens = [1, 2];
        log.WriteStored(1, 1, PrefixIndex.Root(0), tokens);
        // The runtime itself allocates now and then, while it compiles a method again or collects for others; what this allocates shows in every round.
        Assert.Equal(0, Enumerable.Range(0, 20).Min(_ => Allocated()));

        long Allocated()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 1000; i++)
            {
                log.WriteStored(1, 1, PrefixIndex.Root(0), tokens);
                log.WriteRemoved(1, 1);
            }

            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    private static KvEvent[] ReadAll(KvEventLog log)
    {
        List<KvEvent> events = [];
        for (long sequence = 1; sequence <= log.LastSequence; sequence++)
        {
            var change = new KvEvent(log.BlockTokens);
            Assert.Equal(KvReadResult.Read, log.TryRead(sequence, change));
            events.Add(change);
        }

        return [.. events];
    }
}
