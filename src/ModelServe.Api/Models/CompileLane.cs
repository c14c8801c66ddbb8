using ModelServe.Codec.Grammars;

namespace ModelServe.Api.Models;

/// <summary>One grammar that is being compiled, or waits for it; those who want it share it.</summary>
/// <param name="wanted">The grammar.</param>
/// <param name="caller">Who asked first; null for one without a credential.</param>
internal sealed class CompileJob(WantedGrammar wanted, string? caller)
{
    /// <summary>The grammar.</summary>
    public WantedGrammar Wanted { get; } = wanted;

    /// <summary>Who asked first; empty for one without a credential.</summary>
    public string Caller { get; } = caller ?? string.Empty;

    /// <summary>The grammar once it is there, or why there is none.</summary>
    public TaskCompletionSource<CompiledGrammar> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>Compiles one grammar after the other, callers in turn, each within a time. Has a thread while there is work, and none else. Thread-safe.</summary>
/// <param name="compiler">Compiles.</param>
/// <param name="budget">Time for one grammar.</param>
/// <param name="most">How many may wait.</param>
/// <param name="mostOfOne">How many of them may be one caller's.</param>
/// <param name="finished">Takes what became of a job: a grammar, or a failure; <see cref="OperationCanceledException"/> is the time being over.</param>
internal sealed class CompileLane(Lazy<GrammarCompiler> compiler, TimeSpan budget, int most, int mostOfOne, Action<CompileJob, CompiledGrammar?, Exception?> finished)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Queue<CompileJob>> _waiting = new(StringComparer.Ordinal);
    private readonly Queue<string> _turns = new();
    private int _count;
    private bool _isRunning;

    /// <summary>Adds a job behind its caller's others; false when as many wait as may.</summary>
    public bool TryAdd(CompileJob job)
    {
        lock (_lock)
        {
            if (_count >= most || (_waiting.TryGetValue(job.Caller, out Queue<CompileJob>? others) && others.Count >= mostOfOne))
            {
                return false;
            }

            _count++;
            if (!_waiting.TryGetValue(job.Caller, out Queue<CompileJob>? own))
            {
                _waiting.Add(job.Caller, own = new Queue<CompileJob>());
                _turns.Enqueue(job.Caller);
            }

            own.Enqueue(job);
            if (_isRunning)
            {
                return true;
            }

            _isRunning = true;
        }

        _ = Task.Factory.StartNew(Run, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
        return true;
    }

    private void Run()
    {
        while (Take() is { } job)
        {
            CompiledGrammar? grammar = null;
            Exception? failure = null;
            try
            {
                // The first grammar of a model waits for the vocabulary's tree, which is nobody's fault.
                GrammarCompiler ready = compiler.Value;
                using var until = new CancellationTokenSource(budget);
                grammar = job.Wanted.Compile(ready, until.Token);
                grammar.WarmUp();
            }
#pragma warning disable CA1031 // Whatever a grammar does to its compiler is the failure of that grammar alone; whoever waits for it gets it.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }

            finished(job, grammar, failure);
        }
    }

    private CompileJob? Take()
    {
        lock (_lock)
        {
            if (!_turns.TryDequeue(out string? caller))
            {
                _isRunning = false;
                return null;
            }

            _count--;
            Queue<CompileJob> own = _waiting[caller];
            CompileJob job = own.Dequeue();
            if (own.Count > 0)
            {
                _turns.Enqueue(caller);
            }
            else
            {
                _waiting.Remove(caller);
            }

            return job;
        }
    }
}
