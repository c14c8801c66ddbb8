using System.Diagnostics.CodeAnalysis;
using BenchmarkDotNet.Attributes;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Benchmarks;

/// <summary>How long a client of a full queue waits for its refusal, prompt checked and all; and what a turn costs with many tenants.</summary>
[MemoryDiagnoser]
[SuppressMessage("Design", "CA1001", Justification = "The harness calls Stop; it disposes nothing.")]
public class AdmissionBenchmarks
{
    private readonly GenerationRequest _late = Request(1 << 20, 0);
    private NullExecutor? _executor;
    private EngineLoop? _engine;

    /// <summary>Fills the queue with requests of that many tenants.</summary>
    [GlobalSetup]
    public void Start()
    {
        const int Length = 2048;
        var geometry = new ExecutorGeometry(1000, Length, 16, 4096, 64, 8192);
        _executor = new NullExecutor(geometry);
        _engine = new EngineLoop(_executor, new EngineOptions(), TimeProvider.System);
        for (var i = 0; i < 1024; i++)
        {
            if (_engine.Admit(Request(i, i % 64)).Stream is null)
            {
                throw new InvalidOperationException($"request {i} was refused");
            }
        }
    }

    /// <summary>One refusal with a prompt of 512 tokens.</summary>
    [Benchmark]
    public Rejection? RefusedByAFullQueue() => _engine!.Admit(_late).Rejection;

    /// <summary>Ends the engine.</summary>
    [GlobalCleanup]
    public void Stop()
    {
        _engine?.Dispose();
        _executor?.Dispose();
    }

    private static GenerationRequest Request(int number, int tenant) => new()
    {
        RequestId = $"{number}",
        PromptTokenIds = new int[512],
        MaxTokens = 16,
        Tenant = $"tenant {tenant}",
    };
}
