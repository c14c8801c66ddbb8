using ModelServe.Codec.Grammars;

namespace ModelServe.Api.Models;

/// <summary>The grammars of one model's vocabulary: compiled on first use, off every request's thread, the latest ones kept. Thread-safe.</summary>
/// <remarks>
/// A grammar is a program that a stranger wrote. Each is compiled once, whoever asks for it meanwhile; first in a lane that gives each
/// a few milliseconds, which nearly all need less than, then in one for the slow ones: they hold up each other and nobody else. Callers take
/// turns. What waits is bounded, of the slow ones for each caller too, and so is what is kept, by states, which are what a grammar costs. A
/// refusal is kept like a grammar; that a grammar took too long is not, as it may have been the machine.
/// </remarks>
internal sealed class OutputGrammars
{
    private const int Kept = 64;
    private const int KeptStates = 400_000;
    private const int QuickWaiting = 128;
    private const int SlowWaiting = 16;
    private const int SlowWaitingOfOne = 4;
    private static readonly TimeSpan Quick = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly CompileLane _quick;
    private readonly CompileLane _slow;
    private readonly Dictionary<string, CompileJob> _waiting = new(StringComparer.Ordinal);
    private readonly Dictionary<string, LinkedListNode<(string Key, int States, Task<CompiledGrammar> Result)>> _known = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Key, int States, Task<CompiledGrammar> Result)> _recent = [];
    private int _states;

    /// <summary>Grammars over a vocabulary.</summary>
    /// <param name="makeTrie">Makes the vocabulary's tree, when the first grammar is asked for.</param>
    public OutputGrammars(Func<TokenTrie> makeTrie)
    {
        var compiler = new Lazy<GrammarCompiler>(() => new GrammarCompiler(makeTrie()));
        _slow = new CompileLane(compiler, Slow, SlowWaiting, SlowWaitingOfOne, (job, grammar, failure) =>
            Finish(job, grammar, failure is OperationCanceledException ? TooLong() : failure, isKept: failure is not OperationCanceledException));
        _quick = new CompileLane(compiler, Quick, QuickWaiting, QuickWaiting, (job, grammar, failure) =>
        {
            bool isSlow = failure is OperationCanceledException;
            if (!isSlow || !_slow.TryAdd(job))
            {
                Finish(job, grammar, isSlow ? new GrammarsBusyException() : failure, isKept: !isSlow);
            }
        });
    }

    /// <summary>The grammar, now or later.</summary>
    /// <param name="wanted">Which.</param>
    /// <param name="caller">Who asks; null for one without a credential.</param>
    /// <exception cref="InvalidGrammarException">The source is malformed, too large, too slow to compile, or asks for what is not supported.</exception>
    /// <exception cref="GrammarsBusyException">As many wait as may.</exception>
    public Task<CompiledGrammar> GetAsync(WantedGrammar wanted, string? caller)
    {
        lock (_lock)
        {
            if (_known.TryGetValue(wanted.Key, out LinkedListNode<(string Key, int States, Task<CompiledGrammar> Result)>? node))
            {
                _recent.Remove(node);
                _recent.AddFirst(node);
                return node.Value.Result;
            }

            if (_waiting.TryGetValue(wanted.Key, out CompileJob? others))
            {
                return others.Done.Task;
            }

            var job = new CompileJob(wanted, caller);
            if (!_quick.TryAdd(job))
            {
                return Task.FromException<CompiledGrammar>(new GrammarsBusyException());
            }

            _waiting.Add(wanted.Key, job);
            return job.Done.Task;
        }
    }

    private static InvalidGrammarException TooLong() => new("", $"it takes longer than {Slow.TotalSeconds:0} s to compile");

    private void Finish(CompileJob job, CompiledGrammar? grammar, Exception? failure, bool isKept)
    {
        if (failure is null)
        {
            job.Done.SetResult(grammar!);
        }
        else
        {
            job.Done.SetException(failure);
            // Those who waited may be gone; then nobody looks at it, which is no fault of the process.
            _ = job.Done.Task.Exception;
        }

        lock (_lock)
        {
            _waiting.Remove(job.Wanted.Key);
            if (isKept && failure is null or InvalidGrammarException)
            {
                Keep(job.Wanted.Key, grammar?.StateCount ?? 0, job.Done.Task);
            }
        }
    }

    private void Keep(string key, int states, Task<CompiledGrammar> result)
    {
        while (_recent.Last is { } oldest && (_recent.Count >= Kept || _states + states > KeptStates))
        {
            _states -= oldest.Value.States;
            _known.Remove(oldest.Value.Key);
            _recent.RemoveLast();
        }

        _states += states;
        _known.Add(key, _recent.AddFirst((key, states, result)));
    }
}
