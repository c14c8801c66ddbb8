using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cuda;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Kernels;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Cuda;

/// <summary>A device that has no memory for a step, or for its graphs: the answers are those of one that has.</summary>
public sealed class CudaMemoryFaultTests(StubLibrary stub)
{
    private const int Tokens = 24;
    private static readonly int[][] Prompts = [[1, 2, 3], [4, 5], [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]];

    [Fact]
    public async Task Graphs_that_find_no_memory_are_gone_without_and_change_no_token()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        var expected = await RunAsync(checkpoint.Folder, CudaModels.Options(stub), (_, _) => { });
        List<string> reports = [];
        var options = CudaModels.Options(stub) with { Report = reports.Add };
        long graphSteps = -1;
        var got = await RunAsync(checkpoint.Folder, options, (executor, round) =>
        {
            if (round == 0)
            {
                StubFaults.ExhaustGraphs(executor.Device);
            }

            graphSteps = executor.GraphSteps;
        });
        Assert.Equal(expected, got);
        Assert.Equal(0, graphSteps);
        Assert.NotEmpty(reports);
        Assert.All(reports, line => Assert.Matches("^no memory for the graphs of [0-9]+ sequences, whose steps go without them for now: ", line));
    }

    [Fact]
    public void A_capture_that_finds_no_memory_is_tried_again_a_good_while_later()
    {
        var graph = new DecodeGraph(4, new DecodeWorkPlanner(4, 64, 2, 1, false)) { NextTry = DecodeGraphs.StepsBetweenTries };
        Assert.False(DecodeGraphs.IsDue(graph, DecodeGraphs.StepsBetweenTries - 1));
        Assert.True(DecodeGraphs.IsDue(graph, DecodeGraphs.StepsBetweenTries));
    }

    [Theory]
    [InlineData(true, 2)]
    [InlineData(false, 2)]
    [InlineData(false, 1)]
    public async Task Steps_that_find_no_memory_now_and_then_change_no_token(bool graphs, int depth)
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        // Tokens computed again as a prompt must round as they did one by one.
        var options = CudaModels.Options(stub) with { UseGraphs = graphs, Depth = depth, Deterministic = true };
        var expected = await RunAsync(checkpoint.Folder, options, (_, _) => { });
        var got = await RunAsync(checkpoint.Folder, options, (executor, round) =>
        {
            // In the middle of a step, at another place each time; healed before the third in a row.
            if (round % 5 == 1)
            {
                StubFaults.ExhaustLaunches(executor.Device, 1 + round);
            }
            else if (round % 5 == 3)
            {
                StubFaults.Heal(executor.Device);
            }
        });
        Assert.Equal(expected, got);
    }

    [Fact]
    public async Task A_request_that_never_finds_memory_ends_alone()
    {
        stub.SkipIfMissing();
        using var checkpoint = new RandomCheckpoint(CudaModels.All["llama"], seed: 6, type: "BF16");
        var options = CudaModels.Options(stub) with { UseGraphs = false };
        using var loaded = ModelLoader.Load(checkpoint.Folder, options, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var streams = Prompts.Select((prompt, i) => Admit(engine, i, prompt)).ToArray();
        var device = ((CudaStepExecutor)loaded.Executor).Device;
        engine.RunStep();
        StubFaults.ExhaustLaunches(device, 1);
        for (var i = 0; i < 3; i++)
        {
            engine.RunStep();
            engine.CheckInvariants();
        }

        StubFaults.Heal(device);
        while (engine.RunStep())
        {
            engine.CheckInvariants();
        }

        var ends = await Task.WhenAll(streams.Select(ReadAsync));
        Assert.Equal([FinishReason.Length, FinishReason.Length, FinishReason.Exhausted], ends.Select(end => end.Reason));
        Assert.Null(engine.Status.Failure);
        Assert.True(engine.Status.ExhaustedSteps >= 3);
    }

    /// <summary>The tokens of every prompt; <paramref name="before"/> is told the executor and the number of each round of the engine.</summary>
    private static async Task<int[][]> RunAsync(string folder, ModelLoadOptions options, Action<CudaStepExecutor, int> before)
    {
        using var loaded = ModelLoader.Load(folder, options, null);
        using var engine = new EngineLoop(loaded.Executor, new EngineOptions(), TimeProvider.System);
        var streams = Prompts.Select((prompt, i) => Admit(engine, i, prompt)).ToArray();
        var executor = (CudaStepExecutor)loaded.Executor;
        var round = 0;
        do
        {
            before(executor, round++);
        }
        while (engine.RunStep());

        before(executor, round);
        var ends = await Task.WhenAll(streams.Select(ReadAsync));
        Assert.All(ends, end => Assert.Equal(FinishReason.Length, end.Reason));
        return [.. ends.Select(end => end.Tokens)];
    }

    private static RequestStream Admit(EngineLoop engine, int i, int[] prompt)
    {
        var admission = engine.Admit(new GenerationRequest { RequestId = $"r{i}", PromptTokenIds = prompt, MaxTokens = Tokens, Sampling = SamplingOptions.Greedy });
        Assert.True(admission.IsAccepted(out var stream, out var rejection), rejection?.Message);
        return (RequestStream)stream;
    }

    private static async Task<(FinishReason Reason, int[] Tokens)> ReadAsync(RequestStream stream)
    {
        using (stream)
        {
            var delta = new TokenDelta();
            var (reason, tokens) = (FinishReason.None, new List<int>());
            while (await stream.ReadAsync(delta, TestContext.Current.CancellationToken))
            {
                tokens.AddRange(delta.TokenIds);
                reason = delta.FinishReason;
            }

            return (reason, [.. tokens]);
        }
    }
}
