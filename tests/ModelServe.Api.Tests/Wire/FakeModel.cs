using System.Text;
using ModelServe.Codec.ToolCalls;
using ModelServe.Engine.Running;
using ModelServe.Engine.Simulation;

namespace ModelServe.Api.Tests.Wire;

/// <summary>A real engine over the fake executor, whose outputs a test writes and whose steps a test can hold back.</summary>
public sealed class FakeModel : IDisposable
{
    private readonly Lock _gate = new();
    private readonly ManualResetEventSlim _changed = new();
    private readonly FakeExecutor _executor;
    private readonly EngineLoop _engine;
    private byte[]? _script;
    private int _scoredTokens;
    private int _allowed;
    private bool _held;

    public FakeModel(
        int context = 512, int blocks = 256, int slots = 8, int depth = 1, EngineOptions? options = null, int logitWidth = SyntheticCheckpoint.VocabularySize,
        TimeProvider? time = null)
    {
        var geometry = new ExecutorGeometry(logitWidth, context, 16, blocks + 1, slots, 256);
        _executor = new FakeExecutor(geometry, depth, Next) { Collecting = BeforeStep };
        _engine = new EngineLoop(_executor, options ?? new EngineOptions(), time ?? TimeProvider.System);
        _engine.Start();
    }

    /// <summary>
    /// A step that takes so long makes a request of some hundred tokens last for more than a minute: longer than a test that is about its
    /// middle waits for anything, so that it is still there however late the test's own threads get to run. A test that needs its end
    /// takes the time away again.
    /// </summary>
    public static TimeSpan Slow { get; } = TimeSpan.FromMilliseconds(200);

    public IEngine Engine => _engine;

    /// <summary>The form in which the model is said to write calls and reasoning.</summary>
    public AnswerFormat Answers { get; init; } = AnswerFormat.None;

    /// <summary>Fails the next step with that message.</summary>
    public string? Failure { get; set; }

    /// <summary>Which steps find no memory, by number.</summary>
    public Func<long, bool>? ExhaustedSteps { get; set; }

    /// <summary>Time that a step takes; zero takes none.</summary>
    public TimeSpan StepTime { get; set; }

    /// <summary>What the model writes next, whatever the prefix; null keeps to the rule.</summary>
    public int? ForcedToken { get; set; }

    /// <summary>First letter of the prompts whose numbers are not finite.</summary>
    public char? FailsPromptOf { get; set; }

    /// <summary>Told the first letter of every prompt that ends with <see cref="SyntheticCheckpoint.Begin"/>, as its first token is made. Engine thread.</summary>
    public Action<char>? Beginning { get; set; }

    /// <summary>
    /// What the model writes after a prompt that ends with <see cref="SyntheticCheckpoint.Begin"/> or a line break, then its end
    /// token. Without a script it writes letters that depend on the whole prefix, and never ends.
    /// </summary>
    public void Writes(string text) => _script = Encoding.UTF8.GetBytes(text);

    /// <summary>No step completes until <see cref="Release"/>, but those that are allowed.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            _held = true;
        }
    }

    /// <summary>So many more steps complete while the others are held.</summary>
    public void Allow(int steps)
    {
        lock (_gate)
        {
            _allowed += steps;
        }

        _changed.Set();
    }

    /// <summary>Steps complete again.</summary>
    public void Release()
    {
        lock (_gate)
        {
            _held = false;
            _allowed = 0;
        }

        _changed.Set();
    }

    public void BeginDrain() => _engine.BeginDrain();

    public void Dispose()
    {
        Release();
        _engine.Dispose();
        _executor.Dispose();
        _changed.Dispose();
    }

    /// <summary>Prompt tokens whose probabilities were asked of the executor.</summary>
    public int ScoredTokens => Volatile.Read(ref _scoredTokens);

    private int Next(ReadOnlySpan<int> prefix)
    {
        if (prefix[^1] == SyntheticCheckpoint.Begin)
        {
            Beginning?.Invoke((char)prefix[0]);
        }

        if (FailsPromptOf is { } letter && prefix[0] == letter)
        {
            return StepResult.Failed;
        }

        if (ForcedToken is { } forced)
        {
            return forced;
        }

        if (_script is not { } script)
        {
            return 'a' + (int)(FakeExecutor.HashOf(prefix) % 26);
        }

        int start = prefix.LastIndexOfAny(SyntheticCheckpoint.Begin, '\n');
        int position = prefix.Length - 1 - start;
        return position < script.Length ? script[position] : SyntheticCheckpoint.TurnEnd;
    }

    private void BeforeStep(StepPlan plan)
    {
        while (!Passes())
        {
            // Looked at again after the reset, so that no change is missed.
            _changed.Wait();
            _changed.Reset();
        }

        Interlocked.Add(ref _scoredTokens, plan.ScoredCount);
        if (StepTime > TimeSpan.Zero)
        {
            // Never set: a device that takes its time.
            using var never = new ManualResetEventSlim();
            never.Wait(StepTime);
        }

        if (ExhaustedSteps?.Invoke(plan.StepId) == true)
        {
            throw new ExecutorExhaustedException("no memory");
        }

        if (Failure is { } failure)
        {
            throw new ExecutorFailedException(failure);
        }
    }

    private bool Passes()
    {
        lock (_gate)
        {
            if (_held && _allowed == 0)
            {
                return false;
            }

            _allowed -= _held ? 1 : 0;
            return true;
        }
    }
}
