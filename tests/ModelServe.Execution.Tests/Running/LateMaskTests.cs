using System.Diagnostics;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Cuda;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Running;

/// <summary>Masks are made beside the step: a late one holds up its own row, and the tokens are the same whenever it comes.</summary>
public sealed class LateMaskTests(StubLibrary stub)
{
    private static readonly int[] Prompt = [3, 1, 4, 1, 5];

    [Theory]
    [InlineData("cpu", 1)]
    [InlineData("cuda", 1)]
    [InlineData("cuda", 2)]
    public void A_row_whose_mask_is_late_does_not_hold_up_the_others(string device, int depth)
    {
        var alone = Run(device, depth, (engine, _) => Finish(engine, [Admit(engine, "free", null)]))[0];
        using var gate = new ManualResetEventSlim();
        Run(device, depth, (engine, executor) =>
        {
            using var bound = Admit(engine, "bound", new Numbers(() => gate.Wait()));
            using var free = Admit(engine, "free", null);
            try
            {
                Assert.Equal(alone, Take(engine, free));
                Assert.False(HasNews(bound));
            }
            finally
            {
                gate.Set();
            }

            Assert.Equal([10, 11, 12, 13, 14, 15, 16, 17, 18], Take(engine, bound));
            return [];
        });
    }

    [Theory]
    [InlineData("cpu", 1)]
    [InlineData("cuda", 1)]
    [InlineData("cuda", 2)]
    public void The_tokens_are_the_same_however_long_the_masks_take(string device, int depth)
    {
        var expected = Run(device, depth, (engine, _) => Finish(engine, Three(engine, _ => { })));
        var random = new Random(7);
        var got = Run(device, depth, (engine, _) => Finish(engine, Three(engine, number => Spin(random.Next(4) * number))));
        Assert.Equal(expected, got);
    }

    [Fact]
    public void A_sequence_that_leaves_while_its_mask_is_made_is_forgotten()
    {
        using var gate = new ManualResetEventSlim();
        Run("cpu", 1, (engine, _) =>
        {
            using (var bound = Admit(engine, "bound", new Numbers(() => gate.Wait())))
            {
                engine.RunStep();
                bound.Cancel(FinishReason.Cancelled);
            }

            using var next = Admit(engine, "next", null);
            Assert.Equal(9, Take(engine, next).Count);
            gate.Set();
            using var again = Admit(engine, "again", new Numbers(() => { }));
            Assert.Equal(10, Take(engine, again)[0]);
            return [];
        });
    }

    [Fact]
    public void A_constraint_that_throws_ends_its_own_sequence()
    {
        Run("cpu", 1, (engine, _) =>
        {
            using var bound = Admit(engine, "bound", new Numbers(() => throw new InvalidOperationException("planted")));
            using var free = Admit(engine, "free", null);
            Assert.Equal(9, Take(engine, free).Count);
            var delta = new TokenDelta();
            Assert.True(Step(engine, bound.ReadAsync(delta, default)));
            Assert.Equal("the constraint failed: planted", delta.Error);
            return [];
        });
    }

    private static TokenStream[] Three(EngineLoop engine, Action<int> work) =>
    [
        .. Enumerable.Range(0, 3).Select(i => Admit(engine, $"r{i}", i == 1 ? null : new Numbers(() => work(i)), temperature: 0.8f)),
    ];

    private List<List<int>> Run(string device, int depth, Func<EngineLoop, IStepExecutor, List<List<int>>> act)
    {
        if (device == "cuda")
        {
            stub.SkipIfMissing();
        }

        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 3, type: "BF16");
        var options = CudaModels.Options(stub) with { Device = device, Depth = depth };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        return act(engine, loaded.Executor);
    }

    private static TokenStream Admit(EngineLoop engine, string id, ITokenConstraint? constraint, float temperature = 0)
    {
        var admission = engine.Admit(new GenerationRequest
        {
            RequestId = id,
            PromptTokenIds = Prompt,
            MaxTokens = 9,
            Sampling = SamplingOptions.Greedy with { Constraint = constraint, Temperature = temperature, Seed = 5 },
        });
        Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
        return stream;
    }

    private static List<List<int>> Finish(EngineLoop engine, TokenStream[] streams)
    {
        List<List<int>> all = [.. streams.Select(stream => Take(engine, stream))];
        Array.ForEach(streams, stream => stream.Dispose());
        return all;
    }

    // Steps the engine until there is something to read: a mask's thread may need longer than all steps of the others.
    private static bool Step(EngineLoop engine, ValueTask<bool> reading)
    {
        var read = reading.AsTask();
        while (!read.IsCompleted)
        {
            engine.RunStep();
            engine.CheckInvariants();
        }

        return read.GetAwaiter().GetResult();
    }

    // Steps the engine until the stream has ended.
    private static List<int> Take(EngineLoop engine, TokenStream stream)
    {
        var tokens = new List<int>();
        var delta = new TokenDelta();
        while (true)
        {
            Assert.True(Step(engine, stream.ReadAsync(delta, default)));
            Assert.Null(delta.Error);
            tokens.AddRange(delta.TokenIds);
            if (delta.FinishReason != FinishReason.None)
            {
                return tokens;
            }
        }
    }

    private static bool HasNews(TokenStream stream)
    {
        using var stop = new CancellationTokenSource();
        var read = stream.ReadAsync(new TokenDelta(), stop.Token).AsTask();
        var hasNews = read.IsCompleted;
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => read.GetAwaiter().GetResult());
        return hasNews;
    }

    private static void Spin(int milliseconds)
    {
        for (var start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start).TotalMilliseconds < milliseconds;)
        {
            Thread.SpinWait(100);
        }
    }

    /// <summary>Allows token 10 + n as the nth, and works before each mask.</summary>
    private sealed class Numbers(Action work) : ITokenConstraint
    {
        public ITokenConstraintFollower Follow() => new Follower(work);

        private sealed class Follower(Action work) : ITokenConstraintFollower
        {
            private int _next = 10;

            public string? Failure => null;

            public void Follow(ReadOnlySpan<int> tokenIds)
            {
                work();
                foreach (var id in tokenIds)
                {
                    _next = id == _next ? _next + 1 : 0;
                }
            }

            public bool TryFollow(int tokenId) => false;

            public bool FillMask(Span<uint> allowed)
            {
                allowed.Clear();
                allowed[_next / 32] = 1u << (_next % 32);
                return true;
            }
        }
    }
}
