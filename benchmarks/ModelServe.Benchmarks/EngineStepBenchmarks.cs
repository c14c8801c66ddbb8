using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>What one decode step costs the engine thread, with 256 sequences running and no model.</summary>
[MemoryDiagnoser]
[SuppressMessage("Design", "CA1001", Justification = "The harness calls Stop; it disposes nothing.")]
public class EngineStepBenchmarks
{
    private const int Sequences = 256;
    private const int Steps = 512;
    private const int PromptTokens = 64;
    private NullExecutor? _executor;
    private EngineLoop? _engine;

    /// <summary>Admits the sequences and runs their prompts; every iteration starts from there.</summary>
    [IterationSetup]
    public void Start()
    {
        Stop();
        const int Length = 1024;
        var geometry = new ExecutorGeometry(1000, Length, 16, (Sequences * Length / 16) + 1, Sequences, 8192);
        _executor = new NullExecutor(geometry);
        _engine = new EngineLoop(_executor, new EngineOptions(), TimeProvider.System);
        for (var i = 0; i < Sequences; i++)
        {
            var prompt = new int[PromptTokens];
            Array.Fill(prompt, i);
            var result = _engine.Admit(new GenerationRequest { RequestId = $"{i}", PromptTokenIds = prompt, MaxTokens = Length - PromptTokens });
            if (result.Stream is null)
            {
                throw new InvalidOperationException($"request {i} was refused");
            }
        }

        // Prompts, and a first stretch of decoding, so that what grows once has grown.
        for (var step = 0; step < 64; step++)
        {
            _engine.RunStep();
        }

        if (_engine.Status.Running != Sequences)
        {
            throw new InvalidOperationException($"running: {Sequences}; got {_engine.Status.Running}");
        }
    }

    /// <summary>Decode steps.</summary>
    [Benchmark(OperationsPerInvoke = Steps)]
    public void Decode()
    {
        for (var step = 0; step < Steps; step++)
        {
            _engine!.RunStep();
        }
    }

    /// <summary>Ends the engine.</summary>
    [GlobalCleanup]
    public void Stop()
    {
        _engine?.Dispose();
        _executor?.Dispose();
    }
}
