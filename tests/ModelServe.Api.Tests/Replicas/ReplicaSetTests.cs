using ModelServe.Api.Models;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using Xunit;

namespace ModelServe.Api.Tests.Replicas;

/// <summary>Who gets a request, and what becomes of orders to all.</summary>
public sealed class ReplicaSetTests : IDisposable
{
    // Beginnings of prompts are compared by so many tokens.
    private const int Chunk = 64;

    private const int Blocks = 2048;

    private readonly FakeModel[] _fakes;
    private readonly ReplicaSet _set;
    private readonly List<TokenStream> _streams = [];

    public ReplicaSetTests()
    {
        _fakes = [Fake(), Fake(), Fake()];
        _set = new ReplicaSet([.. _fakes.Select(fake => fake.Engine)]);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Requests_without_a_past_spread_evenly()
    {
        var places = new List<int>();
        for (int i = 0; i < 12; i++)
        {
            places.Add(await RunAsync($"r{i}", Prompt(20, seed: i)));
        }

        Assert.Equal([4, 4, 4], Enumerable.Range(0, 3).Select(replica => places.Count(place => place == replica)));
    }

    [Fact]
    public async Task A_prompt_goes_where_its_beginning_was_computed_until_that_one_has_more_to_do_than_is_saved()
    {
        // Five chunks are 320 tokens; each request that runs is reckoned as 128.
        int home = await RunAsync("first", Prompt(5 * Chunk));
        Assert.Equal(home, await RunAsync("second", [.. Prompt(5 * Chunk), 'x']));
        Assert.Equal(home, await RunAsync("third", [.. Prompt(5 * Chunk), 'y']));
        int next = await RunAsync("fourth", Prompt(5 * Chunk));
        Assert.NotEqual(home, next);
        Assert.Equal(next, await RunAsync("fifth", Prompt(5 * Chunk)));
    }

    [Fact]
    public async Task Prompts_of_another_salt_or_past_the_cache_are_not_drawn_to_a_replica()
    {
        int home = await RunAsync("first", Prompt(5 * Chunk));
        Assert.NotEqual(home, await RunAsync(Request("salted", Prompt(5 * Chunk)) with { CacheSalt = 1 }));
        Assert.NotEqual(home, await RunAsync(Request("bypass", Prompt(5 * Chunk)) with { BypassPrefixCache = true }));
        Assert.Equal(home, await RunAsync("second", Prompt(5 * Chunk)));
    }

    [Fact]
    public async Task The_same_prompt_again_and_again_at_rest_stays_with_one_replica_and_is_found_there()
    {
        int[] places = new int[20];
        for (int i = 0; i < places.Length; i++)
        {
            places[i] = await RunAsync($"r{i}", Prompt(4 * Chunk));
            await EndAsync();
        }

        Assert.All(places, place => Assert.Equal(places[0], place));
        Assert.Equal(19 * ((4 * Chunk) - 16), _set.Status.CachedPromptTokens);
        await _set.FlushPrefixCacheAsync(Token);
        int[] after = [await RunAsync("a", Prompt(4 * Chunk)), await RunAsync("b", Prompt(4 * Chunk, 1)), await RunAsync("c", Prompt(4 * Chunk, 2))];
        Assert.Equal([0, 1, 2], after.Order());
    }

    [Fact]
    public async Task A_full_replica_is_passed_over_and_full_is_said_only_when_all_are()
    {
        FakeModel[] narrow = [.. Enumerable.Range(0, 3).Select(_ => new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 4 }))];
        var set = new ReplicaSet([.. narrow.Select(fake => fake.Engine)]);
        Array.ForEach(narrow, fake => fake.Hold());
        int admitted = 0;
        Rejection? rejection = null;
        for (var streams = new TokenStream[1]; rejection is null; admitted += rejection is null ? 1 : 0)
        {
            rejection = set.AdmitAll([Request($"r{admitted}", Prompt(4 * Chunk), maxTokens: 1)], streams);
            Assert.InRange(admitted, 0, 15);
        }

        Assert.Equal(RejectionReason.QueueFull, rejection.Reason);
        // Four wait with each, and one may run.
        Assert.InRange(admitted, 12, 15);
        Assert.All(narrow, fake => Assert.InRange(Enumerable.Range(0, admitted).Count(i => fake.Engine.IsLive($"r{i}")), 4, 5));
        set.EndAll(FinishReason.Cancelled);
        Array.ForEach(narrow, fake => fake.Release());
        await WireServer.EventuallyAsync(() => set.Status is { Running: 0, Waiting: 0 }, "all have ended");
        Array.ForEach(narrow, fake => fake.Dispose());
    }

    [Fact]
    public async Task A_name_is_live_on_one_replica_at_most_and_is_aborted_wherever_it_is()
    {
        await RunAsync("same", Prompt(20));
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(RejectionReason.DuplicateRequest, _set.AdmitAll([Request("same", Prompt(20, i))], new TokenStream[1])!.Reason);
        }

        Assert.Equal(1, _fakes.Count(fake => fake.Engine.IsLive("same")));
        Assert.True(_set.Abort("same", FinishReason.Cancelled));
        Assert.False(_set.Abort("other", FinishReason.Cancelled));
        await EndAsync();
        Assert.False(_set.IsLive("same"));
        await RunAsync("same", Prompt(20));
    }

    [Fact]
    public async Task Outputs_of_one_call_stay_together()
    {
        var streams = new TokenStream[5];
        Assert.Null(_set.AdmitAll([.. Enumerable.Range(0, 5).Select(i => Request($"o{i}", Prompt(70)))], streams));
        _streams.AddRange(streams);
        Assert.Single(Enumerable.Range(0, 5).Select(i => PlaceOf($"o{i}")).Distinct());
        await EndAsync();
    }

    [Fact]
    public async Task A_failed_replica_gets_nothing_and_the_set_fails_with_the_last()
    {
        for (int lost = 0; lost < 3; lost++)
        {
            Assert.Null(_set.Status.Failure);
            _fakes[lost].Failure = "lost";
            for (int i = 0; _fakes[lost].Engine.Status.Failure is null; i++)
            {
                Assert.InRange(i, 0, 20);
                // To their own end: one that is cancelled at once may never have been in a step.
                _ = Admit(Request($"r{lost}.{i}", Prompt(20), maxTokens: 1));
                await EndAsync(FinishReason.None);
            }

            for (int i = 0; i < 6 && lost < 2; i++)
            {
                Assert.InRange(await RunAsync($"s{lost}.{i}", Prompt(20, i)), lost + 1, 2);
            }

            await EndAsync();
        }

        Assert.Equal("lost", _set.Status.Failure);
        Assert.Equal(RejectionReason.EngineFailed, _set.AdmitAll([Request("late", Prompt(20))], new TokenStream[1])!.Reason);
    }

    [Fact]
    public async Task Orders_reach_every_replica_and_counts_add_up()
    {
        Assert.True(await _set.PauseAsync(PauseMode.Keep, Token));
        Assert.All(_fakes, fake => Assert.Equal(PauseMode.Keep, fake.Engine.Status.Pause));
        Assert.Equal(PauseMode.Keep, _set.Status.Pause);
        Assert.True(await _set.PauseAsync(PauseMode.None, Token));
        Assert.Equal([0, 1, 2], new[] { await RunAsync("a", Prompt(40)), await RunAsync("b", Prompt(40, 1)), await RunAsync("c", Prompt(40, 2)) }.Order());
        await EndAsync();
        EngineStatus status = _set.Status;
        Assert.Equal(120, status.PromptTokens);
        Assert.Equal(_fakes.Sum(fake => fake.Engine.Status.StepTokens.Sum), status.StepTokens.Sum);
        Assert.Equal((3 * Blocks, 3 * 8), (status.BlockCount, _set.Geometry.MaxSequences));
        Assert.Equal(_set.Geometry.BlockCount - 1, status.BlockCount);
        _set.BeginDrain();
        await _set.Drained.WaitAsync(TimeSpan.FromSeconds(30), Token);
        Assert.Equal(RejectionReason.Draining, _set.AdmitAll([Request("late", Prompt(20))], new TokenStream[1])!.Reason);
    }

    [Fact]
    public void Engines_that_differ_are_no_replicas()
    {
        using var longer = new FakeModel(context: 8192);
        Assert.Contains("4096", Assert.Throws<ArgumentException>(() => new ReplicaSet([_fakes[0].Engine, longer.Engine])).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new ReplicaSet([]));
    }

    public void Dispose()
    {
        _streams.ForEach(stream => stream.Dispose());
        Array.ForEach(_fakes, fake => fake.Dispose());
    }

    private static FakeModel Fake() => new(context: 4096, blocks: Blocks) { StepTime = TimeSpan.FromMilliseconds(20) };

    private static int[] Prompt(int tokens, int seed = 0) => [.. Enumerable.Range(0, tokens).Select(i => 'a' + ((i + (seed * 7)) % 26))];

    private static GenerationRequest Request(string id, int[] prompt, int maxTokens = 3000) =>
        new() { RequestId = id, PromptTokenIds = prompt, MaxTokens = maxTokens };

    private Task<int> RunAsync(string id, int[] prompt) => RunAsync(Request(id, prompt));

    /// <summary>Admits a request that then runs for a minute, longer than any test here; its replica once no prompt waits.</summary>
    private async Task<int> RunAsync(GenerationRequest request)
    {
        int place = Admit(request);
        await WireServer.EventuallyAsync(() => _set.Status.WaitingTokens == 0, "it runs");
        return place;
    }

    private int Admit(GenerationRequest request)
    {
        var streams = new TokenStream[1];
        Assert.Null(_set.AdmitAll([request], streams));
        _streams.Add(streams[0]);
        return PlaceOf(request.RequestId);
    }

    private int PlaceOf(string id) => Array.FindIndex(_fakes, fake => fake.Engine.IsLive(id));

    /// <summary>Ends everything that was admitted, or waits for it.</summary>
    private async Task EndAsync(FinishReason reason = FinishReason.Cancelled)
    {
        var delta = new TokenDelta();
        foreach (TokenStream stream in _streams)
        {
            if (reason != FinishReason.None)
            {
                stream.Cancel(reason);
            }

            while (await stream.ReadAsync(delta, Token))
            {
            }

            stream.Dispose();
        }

        _streams.Clear();
        await WireServer.EventuallyAsync(() => _set.Status is { Running: 0, Waiting: 0 }, "all have ended");
    }
}
