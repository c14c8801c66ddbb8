using ModelServe.Engine.Running;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Cpu.Rows;

/// <summary>Norms, gates, embedding and gathering against double precision.</summary>
public sealed unsafe class RowOperationTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 31)]
    [InlineData(5, 64)]
    [InlineData(2, 205)]
    [InlineData(40, 2048)]
    public void A_norm_agrees_with_and_without_an_addition(int rows, int columns)
    {
        var random = new Random(rows);
        using var memory = new NativeFloats();
        using var ops = Ops(rows, columns);
        var x = NativeFloats.Random(random, rows * columns);
        var delta = NativeFloats.Random(random, rows * columns);
        var gain = NativeFloats.Random(random, columns);
        var residual = memory.Activation(x, rows, columns);
        var plain = memory.Empty(rows, columns);
        var added = memory.Empty(rows, columns);
        ops.Norm(residual, memory.Vector(gain), 1e-5f, plain, rows);
        Assert.True(residual.Row(0).SequenceEqual(x.AsSpan(0, columns)));
        ops.AddNorm(residual, memory.Activation(delta, rows, columns), memory.Vector(gain), 1e-5f, added, rows);
        for (var row = 0; row < rows; row++)
        {
            var slice = x.AsSpan(row * columns, columns).ToArray();
            AssertNorm(slice, gain, plain.Row(row));
            for (var i = 0; i < columns; i++)
            {
                slice[i] += delta[(row * columns) + i];
            }

            Assert.True(residual.Row(row).SequenceEqual(slice));
            AssertNorm(slice, gain, added.Row(row));
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 8192)]
    [InlineData(3, 37)]
    [InlineData(33, 1376)]
    public void The_gated_activation_agrees(int rows, int columns)
    {
        var random = new Random(rows);
        using var memory = new NativeFloats();
        using var ops = Ops(rows, columns);
        var x = Array.ConvertAll(NativeFloats.Random(random, 2L * rows * columns), value => value * 20);
        var y = memory.Empty(rows, columns);
        ops.GatedActivation(memory.Activation(x, rows, 2 * columns), y, rows);
        for (var row = 0; row < rows; row++)
        {
            for (var i = 0; i < columns; i++)
            {
                double gate = x[(row * 2 * columns) + i], up = x[(row * 2 * columns) + columns + i];
                var expected = gate / (1 + Math.Exp(-gate)) * up;
                Assert.Equal(expected, y.Row(row)[i], 1e-6 * Math.Abs(expected));
            }
        }
    }

    [Fact]
    public void Extreme_gates_are_closed_or_open_and_never_undefined()
    {
        using var memory = new NativeFloats();
        using var ops = Ops(1, 4);
        var y = memory.Empty(1, 4);
        ops.GatedActivation(memory.Activation([-200f, 200f, -3e38f, 3e38f, 1f, 1f, 1f, 1f], 1, 8), y, 1);
        Assert.Equal([0f, 200f, 0f, 3e38f], y.Row(0).ToArray());
    }

    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.BFloat16)]
    public void Embedding_copies_the_token_s_row(ElementType type)
    {
        const int Vocabulary = 50, Columns = 83, Tokens = 9;
        var random = new Random(4);
        using var memory = new NativeFloats();
        using var ops = Ops(Tokens, Columns);
        var table = NativeFloats.Random(random, Vocabulary * Columns);
        var batch = Batch(Tokens, token => (token * 31) % Vocabulary);
        var y = memory.Empty(Tokens, Columns);
        ops.Embed(batch, memory.Weight(table, type, Vocabulary, Columns), y);
        for (var token = 0; token < Tokens; token++)
        {
            var row = table.AsSpan(token * 31 % Vocabulary * Columns, Columns).ToArray();
            Assert.Equal(Array.ConvertAll(row, value => NativeFloats.Stored(value, type)), y.Row(token).ToArray());
        }
    }

    [Fact]
    public void Gathering_adds_the_rows_of_the_sampled_tokens()
    {
        const int Columns = 35, Tokens = 9;
        var random = new Random(4);
        using var memory = new NativeFloats();
        using var ops = Ops(Tokens, Columns);
        var x = NativeFloats.Random(random, Tokens * Columns);
        var delta = NativeFloats.Random(random, Tokens * Columns);
        var batch = Batch(Tokens, token => token);
        var y = memory.Empty(Tokens, Columns);
        ops.GatherSampled(batch, memory.Activation(x, Tokens, Columns), memory.Activation(delta, Tokens, Columns), y);
        Assert.Equal(1, batch.SampledCount);
        for (var i = 0; i < Columns; i++)
        {
            Assert.Equal(x[((Tokens - 1) * Columns) + i] + delta[((Tokens - 1) * Columns) + i], y.Row(0)[i]);
        }
    }

    private static void AssertNorm(float[] x, float[] gain, Span<float> actual)
    {
        var square = x.Sum(value => (double)value * value) / x.Length;
        for (var i = 0; i < x.Length; i++)
        {
            var expected = x[i] / Math.Sqrt(square + 1e-5f) * gain[i];
            Assert.Equal(expected, actual[i], 1e-6 * Math.Max(0.1, Math.Abs(expected)));
        }
    }

    private static StepBatch Batch(int tokens, Func<int, int> id)
    {
        var geometry = new ExecutorGeometry(1000, 64, 16, 8, 2, 64);
        var plan = new StepPlan(geometry) { SequenceCount = 1, TokenCount = tokens, StepId = 1 };
        plan.TokenStarts[1] = tokens;
        plan.Samples[0] = true;
        for (var token = 0; token < tokens; token++)
        {
            plan.TokenIds[token] = id(token);
        }

        var batch = new StepBatch(geometry);
        batch.Fill(plan, [0, 0]);
        return batch;
    }

    private static CpuOps Ops(int rows, int columns) =>
        new(new OpsShape(rows, rows, 64, columns, columns, 1000, new AttentionShape(1, 1, 16, 1f, 0)), 2);
}
