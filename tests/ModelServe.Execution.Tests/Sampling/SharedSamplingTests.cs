using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Sampling;
using ModelServe.Execution.Tests.Cpu;
using Xunit;

namespace ModelServe.Execution.Tests.Sampling;

/// <summary>Tokens chosen on several threads are those that one thread chooses.</summary>
public sealed class SharedSamplingTests
{
    private const int Vocabulary = 3000;
    private const int Sequences = 40;

    private static readonly ExecutorGeometry Geometry = new(Vocabulary, 4096, 16, 300, Sequences, 64);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Tokens_do_not_depend_on_the_threads(int threads)
    {
        using var memory = new NativeFloats();
        using var ops = new CpuOps(new OpsShape(1, 1, 16, 16, 16, 16, new AttentionShape(1, 1, 16, 1f, 0)), threads);
        var bench = new SamplerBench(Vocabulary);
        var slots = new SlotSampling[Sequences];
        var result = new StepResult(Geometry);
        var sampling = new SharedSampling(slots, new StepBatch(Geometry), result, Vocabulary, ops.Threads);
        float[][] rows = [.. Enumerable.Range(0, Sequences).Select(row => SamplerBench.Logits(Vocabulary, row))];
        rows[17][5] = float.NaN;
        sampling.Begin(memory.Activation([.. rows.SelectMany(row => row)], Sequences, Vocabulary));
        for (var i = 0; i < Sequences; i++)
        {
            slots[Slot(i)] = new SlotSampling();
            slots[Slot(i)].Assign(new SlotAssignment(Slot(i), Options(i), default, 0), 4096);
            if (i % 7 == 3)
            {
                sampling.Choose(i, Slot(i), i);
            }
            else
            {
                sampling.Add(i, Slot(i), i);
            }
        }

        ops.ForEachRow(sampling, sampling.Count, Vocabulary);
        for (var i = 0; i < Sequences; i++)
        {
            Assert.Equal(bench.Sample(rows[i], Options(i), position: 0), result.TokenIds[i]);
        }

        Assert.Equal(StepResult.Failed, result.TokenIds[17]);
        static int Slot(int sequence) => Sequences - 1 - sequence;
    }

    private static SamplingOptions Options(int sequence) => (sequence % 4) switch
    {
        0 => SamplingOptions.Greedy,
        1 => new() { Temperature = 1, Seed = (ulong)sequence },
        2 => new() { Temperature = 0.7f, TopK = 40, TopP = 0.9f, Seed = (ulong)sequence },
        _ => new() { Temperature = 1.2f, MinP = 0.01f, PresencePenalty = 1, Seed = (ulong)sequence },
    };
}
