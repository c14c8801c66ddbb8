using Microsoft.Extensions.Time.Testing;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Engine.Tests.Running;

/// <summary>A warm decode step at 256 running sequences allocates nothing on the engine thread.</summary>
public sealed class SteadyStateTests
{
    private const int Sequences = 256;

    [Theory]
    [InlineData(1, 0)]
    [InlineData(2, 0)]
    [InlineData(1, 1.75)]
    [InlineData(2, 1.75)]
    public void Five_hundred_decode_steps_allocate_nothing(int depth, double stretch)
    {
        var geometry = new ExecutorGeometry(1000, 2048, 16, (Sequences * 128) + 1, Sequences, 2048);
        // The clock moves at every look, so that steps take time to be learnt.
        var time = new FakeTimeProvider { AutoAdvanceAmount = TimeSpan.FromMicroseconds(10) };
        using var executor = new SimulatedExecutor(geometry, default, time, depth);
        using var engine = new EngineLoop(executor, new EngineOptions { PrefillStretch = stretch }, time);
        var readers = new SilentReader[Sequences];
        for (var i = 0; i < Sequences; i++)
        {
            readers[i] = new SilentReader(engine.Admit(EngineScenario.Request($"r{i}", EngineScenario.Prompt(24, i), 2000)).Stream!);
        }

        StepAndRead(engine, readers, 200);
        Assert.Equal(Sequences, engine.Status.Running);
        long allocated = 0;
        int quiet = 0;
        for (var round = 0; round < 150 && quiet < 500; round++)
        {
            // A collection that another test causes counts what is left of this thread's buffer as allocated: rounds that met one tell nothing.
            var (collections, before) = (GC.CollectionCount(0), GC.GetAllocatedBytesForCurrentThread());
            StepAndRead(engine, readers, 10);
            var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            if (bytes == 0 || GC.CollectionCount(0) == collections)
            {
                (quiet, allocated) = (quiet + 10, allocated + bytes);
            }
        }

        Assert.Equal((500, 0L), (quiet, allocated));
        Assert.All(readers, reader => Assert.InRange(reader.Tokens, 500, 1800));
    }

    private static void StepAndRead(EngineLoop engine, SilentReader[] readers, int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            engine.RunStep();
            foreach (var reader in readers)
            {
                reader.Read();
            }
        }
    }

    /// <summary>Always waits for the next delta, and counts what comes.</summary>
    private sealed class SilentReader(TokenStream stream)
    {
        private readonly TokenDelta _delta = new();
        private ValueTask<bool> _pending;
        private bool _waits;

        public int Tokens { get; private set; }

        public void Read()
        {
            while (true)
            {
                if (!_waits)
                {
#pragma warning disable CA2012 // Held until it is complete and consumed once: the reader must not allocate.
                    _pending = stream.ReadAsync(_delta, CancellationToken.None);
#pragma warning restore CA2012
                    _waits = true;
                }

                if (!_pending.IsCompleted)
                {
                    return;
                }

                _waits = false;
                _pending.GetAwaiter().GetResult();
                Tokens += _delta.TokenIds.Count;
            }
        }
    }
}
