using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

/// <summary>The reader's side: merging, waiting, cancelling, and the engine thread that never waits for it.</summary>
public sealed class RequestStreamTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void A_slow_reader_finds_several_steps_in_one_delta()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 10));
        for (var i = 0; i < 6; i++)
        {
            scenario.Engine.RunStep();
        }

        conversation.Read();
        Assert.Equal([6], conversation.DeltaSizes);
        scenario.RunToEnd();
        Assert.Equal(10, conversation.Output.Count);
    }

    [Fact]
    public async Task After_the_ending_there_is_nothing()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 2));
        scenario.RunToEnd();
        Assert.False(await conversation.Stream.ReadAsync(conversation.Delta, Cancellation));
        Assert.Empty(conversation.Delta.TokenIds);
    }

    [Fact]
    public void The_last_token_and_the_ending_are_read_together_whenever_the_reader_looks()
    {
        var result = new StepResult(EngineScenario.Small);
        using var inbox = new Inbox();
        int begun = 0, apart = 0;
        const int Rounds = 30_000;
        var streams = new RequestStream[Rounds + 1];
        var reader = new Thread(() =>
        {
            var delta = new TokenDelta();
            for (var round = 1; round <= Rounds; round++)
            {
                var wait = default(SpinWait);
                while (Volatile.Read(ref begun) < round)
                {
                    wait.SpinOnce(sleep1Threshold: -1);
                }

                Thread.SpinWait(round % 17);
                // At once, as there is a token that it has not read.
                var reading = streams[round].ReadAsync(delta, CancellationToken.None);
                Assert.True(reading.IsCompletedSuccessfully);
                apart += delta.TokenIds.Count == 2 && delta.FinishReason == FinishReason.None ? 1 : 0;
            }
        });
        reader.Start();
        for (var round = 1; round <= Rounds; round++)
        {
            var sequence = new Sequence(EngineScenario.Request("a", [1]), 8, inbox, new QueueBudget(100, 100));
            sequence.Output.Append(result, 0);
            sequence.Output.Publish();
            sequence.Output.Append(result, 0);
            streams[round] = sequence.Stream;
            Volatile.Write(ref begun, round);
            Thread.SpinWait(round % 13);
            sequence.Stream.End(FinishReason.Stop, 0, null);
        }

        reader.Join();
        Assert.Equal(0, apart);
    }

    [Fact]
    public async Task A_cancelled_wait_throws_and_the_next_one_goes_on()
    {
        using var scenario = new EngineScenario();
        var stream = scenario.Engine.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 2)).Stream!;
        var delta = new TokenDelta();
        for (var round = 0; round < 3; round++)
        {
            using var source = new CancellationTokenSource();
            var waiting = stream.ReadAsync(delta, source.Token).AsTask();
            Assert.False(waiting.IsCompleted);
            await source.CancelAsync();
            await Assert.ThrowsAsync<OperationCanceledException>(() => waiting);
        }

        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream.ReadAsync(delta, cancelled.Token).AsTask());
        var next = stream.ReadAsync(delta, Cancellation).AsTask();
        scenario.Engine.RunStep();
        Assert.True(await next);
        Assert.Single(delta.TokenIds);
    }

    [Fact]
    public async Task A_reader_that_is_told_to_stop_ends_its_wait_and_reads_no_more()
    {
        using var scenario = new EngineScenario();
        var stream = scenario.Engine.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 2)).Stream!;
        var delta = new TokenDelta();
        var waiting = stream.ReadAsync(delta, Cancellation).AsTask();
        Assert.False(waiting.IsCompleted);
        stream.StopReading();
        Assert.False(await waiting);
        scenario.RunToEnd();
        Assert.False(await stream.ReadAsync(delta, Cancellation));
        Assert.Empty(delta.TokenIds);
    }

    [Fact]
    public async Task A_reader_told_to_stop_at_any_moment_stops()
    {
        using var scenario = new EngineScenario();
        scenario.Engine.Start();
        for (var round = 0; round < 200; round++)
        {
            var request = EngineScenario.Request($"r{round}", EngineScenario.Prompt(4), 50);
            using var stream = scenario.Engine.Admit(request).Stream!;
            var reading = Task.Run(
                async () =>
                {
                    var delta = new TokenDelta();
                    while (await stream.ReadAsync(delta, CancellationToken.None))
                    {
                    }
                },
                Cancellation);
            stream.StopReading();
            await reading.WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
        }
    }

    [Fact]
    public async Task A_reader_that_blocks_its_thread_holds_up_nobody()
    {
        using var scenario = new EngineScenario();
        using var hold = new ManualResetEventSlim();
        Task Read(string name, Action then)
        {
            var stream = scenario.Engine.Admit(EngineScenario.Request(name, EngineScenario.Prompt(4), 2)).Stream!;
            // On the thread that resumes it, as the rest of an asynchronous method runs.
            return stream.ReadAsync(new TokenDelta(), CancellationToken.None).AsTask()
                .ContinueWith(_ => then(), Cancellation, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        }

        var blocked = Read("blocked", () => hold.Wait(Cancellation));
        var others = Enumerable.Range(0, 3).Select(i => Read($"other {i}", () => { })).ToArray();
        scenario.Engine.RunStep();
        await Task.WhenAll(others).WaitAsync(TimeSpan.FromSeconds(60), Cancellation);
        Assert.False(blocked.IsCompleted);
        hold.Set();
        await blocked;
    }

    [Fact]
    public async Task A_second_reader_that_waits_is_an_error()
    {
        using var scenario = new EngineScenario();
        var stream = scenario.Engine.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 2)).Stream!;
        var first = stream.ReadAsync(new TokenDelta(), Cancellation).AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(() => stream.ReadAsync(new TokenDelta(), Cancellation).AsTask());
        scenario.Engine.RunStep();
        Assert.True(await first);
    }

    [Fact]
    public void Cancelling_without_a_reason_is_an_error()
    {
        using var scenario = new EngineScenario();
        var conversation = scenario.Admit(EngineScenario.Request("a", EngineScenario.Prompt(4), 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => conversation.Stream.Cancel(FinishReason.None));
    }

    [Fact]
    public async Task A_continuation_never_runs_on_the_engine_thread()
    {
        using var scenario = new EngineScenario();
        scenario.Engine.Start();
        var request = EngineScenario.Request("a", EngineScenario.Prompt(4), 50);
        var stream = scenario.Engine.Admit(request).Stream!;
        var delta = new TokenDelta();
        while (await stream.ReadAsync(delta, Cancellation))
        {
            Assert.NotEqual("modelserve engine", Thread.CurrentThread.Name);
        }
    }

    [Fact]
    public async Task A_reader_that_stops_reading_does_not_hold_up_another()
    {
        using var scenario = new EngineScenario();
        scenario.Engine.Start();
        var silent = scenario.Admit(EngineScenario.Request("silent", EngineScenario.Prompt(4, 2), 50));
        var reader = scenario.Admit(EngineScenario.Request("reader", EngineScenario.Prompt(4, 3), 50));
        await reader.ReadToEndAsync(Cancellation);
        Assert.Equal(50, reader.Output.Count);
        await silent.ReadToEndAsync(Cancellation);
        Assert.Equal(50, silent.Output.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Readers_on_many_threads_get_every_token_in_order(int depth)
    {
        var geometry = EngineScenario.Small with { MaxSequences = 8, BlockCount = 65, MaxBatchedTokens = 64 };
        using var scenario = new EngineScenario(geometry, depth: depth);
        scenario.Engine.Start();
        await Task.WhenAll(Enumerable.Range(0, 200).Select(i => Task.Run(
            async () =>
            {
                var request = EngineScenario.Request($"r{i}", EngineScenario.Prompt(4 + (i % 30), i), 1 + (i % 30));
                var conversation = new Conversation(request, scenario.Engine.Admit(request).Stream!);
                await conversation.ReadToEndAsync(Cancellation);
                Assert.Equal(1, conversation.Endings);
                Assert.Equal(EngineScenario.Expected(request, geometry), conversation.Output);
            },
            Cancellation)));
        Assert.Equal(0, scenario.Engine.Status.Running);
    }

    [Fact]
    public async Task Requests_cancelled_from_other_threads_at_any_moment_end_once()
    {
        using var scenario = new EngineScenario(depth: 2);
        scenario.Engine.Start();
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i => Task.Run(
            async () =>
            {
                var request = EngineScenario.Request($"r{i}", EngineScenario.Prompt(4 + (i % 20), i), 30);
                var conversation = new Conversation(request, scenario.Engine.Admit(request).Stream!);
                var reading = conversation.ReadToEndAsync(Cancellation);
                var canceller = Task.Run(() => conversation.Stream.Cancel(FinishReason.Cancelled), Cancellation);
                await Task.WhenAll(reading, canceller);
                Assert.Equal(1, conversation.Endings);
                Assert.True(conversation.Finish is FinishReason.Cancelled or FinishReason.Length);
            },
            Cancellation)));
        Assert.Null(scenario.Engine.Status.Failure);
    }

    [Fact]
    public async Task Waits_that_are_cancelled_while_tokens_arrive_lose_none()
    {
        var geometry = EngineScenario.Small;
        using var scenario = new EngineScenario(geometry);
        scenario.Engine.Start();
        for (var i = 0; i < 100; i++)
        {
            var request = EngineScenario.Request($"r{i}", EngineScenario.Prompt(4, i), 40);
            var stream = scenario.Engine.Admit(request).Stream!;
            var output = new List<int>();
            var delta = new TokenDelta();
            for (var more = true; more;)
            {
                using var source = new CancellationTokenSource();
                var reading = stream.ReadAsync(delta, source.Token).AsTask();
                await source.CancelAsync();
                try
                {
                    more = await reading;
                    output.AddRange(delta.TokenIds);
                }
                catch (OperationCanceledException)
                {
                    Assert.True(source.IsCancellationRequested);
                }
            }

            Assert.Equal(EngineScenario.Expected(request, geometry), output);
        }
    }

    [Fact]
    public async Task An_engine_disposed_while_requests_arrive_ends_every_one_it_accepted()
    {
        for (var round = 0; round < 30; round++)
        {
            using var scenario = new EngineScenario();
            scenario.Engine.Start();
            var arriving = Enumerable.Range(0, 8).Select(i => Task.Run(
                async () =>
                {
                    var request = EngineScenario.Request($"r{i}", EngineScenario.Prompt(4), 50);
                    if (scenario.Engine.Admit(request).IsAccepted(out var stream, out _))
                    {
                        var conversation = new Conversation(request, stream);
                        await conversation.ReadToEndAsync(Cancellation);
                        Assert.Equal(1, conversation.Endings);
                    }
                },
                Cancellation)).ToList();
            scenario.Engine.Dispose();
            await Task.WhenAll(arriving);
        }
    }
}
