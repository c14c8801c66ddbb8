using System.Threading.Tasks.Sources;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>The engine's <see cref="TokenStream"/>: a log that the reader copies from, and one place to wait.</summary>
/// <remarks>
/// The engine publishes first and looks for a waiter second; the reader announces itself first and looks for entries second.
/// Both do so over a full fence, so at least one of them sees the other. Whoever moves the state from waiting to idle
/// (engine, cancellation or the reader itself) owns the completion of that wait, so it happens once.
/// Continuations run on the thread pool, those of a step's news by <see cref="ReaderWakes"/>. A wait allocates nothing: the stream itself is the reusable value task source.
/// </remarks>
internal sealed class RequestStream : TokenStream, IValueTaskSource<bool>, IThreadPoolWorkItem
{
    private const int Idle = 0;
    private const int Waiting = 1;

    private readonly Sequence _sequence;
    private readonly Inbox _inbox;
    private ManualResetValueTaskSourceCore<bool> _core;
    private CancellationTokenRegistration _registration;
    private TokenDelta? _waitingDelta;
    private Action<object?>? _continuation;
    private object? _continuationState;
    private ReaderWakes? _wakes;
    private int _state;
    private int _cancelReason;
    private bool _stopped;
    private bool _endingRead;
    private FinishReason _finishReason;
    private int? _matchedStopTokenId;
    private string? _error;

    /// <summary>Makes the stream of a sequence whose log exists.</summary>
    public RequestStream(Sequence sequence, Inbox inbox)
    {
        _sequence = sequence;
        _inbox = inbox;
        Output = sequence.Output;
    }

    /// <inheritdoc />
    public override string RequestId => _sequence.Request.RequestId;

    /// <inheritdoc />
    public override RequestTimings Timings { get; } = new();

    /// <summary>The tokens.</summary>
    public OutputLog Output { get; }

    /// <summary>Why the reader or an operator wants the request to end; None if nobody does.</summary>
    public FinishReason CancelReason => (FinishReason)Volatile.Read(ref _cancelReason);

    /// <inheritdoc />
    public override ValueTask<bool> ReadAsync(TokenDelta delta, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _state) == Waiting)
        {
            throw new InvalidOperationException($"request {RequestId}: one reader at a time may wait");
        }

        delta.Clear();
        if (Volatile.Read(ref _stopped))
        {
            return new ValueTask<bool>(false);
        }

        if (HasNews || _endingRead)
        {
            return new ValueTask<bool>(Take(delta));
        }

        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<bool>(cancellationToken);
        }

        _core.Reset();
        _waitingDelta = delta;
        Interlocked.Exchange(ref _state, Waiting);
        if ((HasNews || Volatile.Read(ref _stopped)) && TryClaim())
        {
            return new ValueTask<bool>(TakeUnlessStopped(delta));
        }

        // Only GetResult reads the registration, and it runs after this method has returned.
        _registration = cancellationToken.UnsafeRegister(
            static (stream, token) => ((RequestStream)stream!).Interrupt(token), this);
        return new ValueTask<bool>(this, _core.Version);
    }

    /// <inheritdoc />
    public override void StopReading()
    {
        Volatile.Write(ref _stopped, true);
        // Said first, over the full fence of the claim; a reader announces its wait first and looks second.
        Wake();
    }

    /// <inheritdoc />
    public override void Cancel(FinishReason reason)
    {
        if (reason is FinishReason.None)
        {
            throw new ArgumentOutOfRangeException(nameof(reason), reason, "a cancellation needs a reason");
        }

        if (!Output.IsComplete && Interlocked.CompareExchange(ref _cancelReason, (int)reason, 0) == 0)
        {
            _inbox.AddCancellation(_sequence);
        }
    }

    /// <summary>Makes what was appended visible and ends the reader's wait. Engine thread, once a step.</summary>
    /// <param name="wakes">Takes the reader in if it waits, to be resumed with the others of the step.</param>
    public void Publish(ReaderWakes wakes)
    {
        _wakes = wakes;
        Output.Publish();
        Wake();
    }

    /// <summary>Runs the reader on, on this thread of the pool.</summary>
    public void Resume()
    {
        // Taken first: it may wait again before it returns.
        var (continuation, state) = (_continuation!, _continuationState);
        continuation(state);
    }

    /// <summary>Appends the one ending, publishes it together with all tokens and wakes the reader. Engine thread, once a request.</summary>
    public void End(FinishReason reason, int? matchedStopTokenId, string? error)
    {
        if (Output.IsComplete)
        {
            throw new InvalidOperationException($"request {RequestId} ended twice");
        }

        _finishReason = reason;
        _matchedStopTokenId = matchedStopTokenId;
        _error = error;
        Output.Publish(isLast: true);
        Wake();
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        // Waits for a cancellation callback under way, so that it cannot claim the reader's next wait.
        _registration.Dispose();
        _registration = default;
        _core.GetResult(token);
        return TakeUnlessStopped(_waitingDelta!);
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        var hasContext = flags != ValueTaskSourceOnCompletedFlags.None
            && (flags != ValueTaskSourceOnCompletedFlags.UseSchedulingContext || SynchronizationContext.Current is not null || TaskScheduler.Current != TaskScheduler.Default);
        _core.RunContinuationsAsynchronously = hasContext;
        if (hasContext)
        {
            _core.OnCompleted(continuation, state, token, flags);
            return;
        }

        _continuation = continuation;
        _continuationState = state;
        // What the core runs at the end of the wait only decides where the reader goes on.
        _core.OnCompleted(static stream => ((RequestStream)stream!).Schedule(), this, token, flags);
    }

    void IThreadPoolWorkItem.Execute() => Resume();

    private bool HasNews => Output.HasUnread || (Output.IsComplete && !_endingRead);

    private bool TryClaim() => Interlocked.CompareExchange(ref _state, Idle, Waiting) == Waiting;

    private void Wake()
    {
        if (TryClaim())
        {
            _core.SetResult(true);
        }
    }

    private void Schedule()
    {
        if (_wakes is { } wakes && wakes.IsOfThisThread)
        {
            wakes.Add(this);
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);
        }
    }

    private void Interrupt(CancellationToken token)
    {
        if (TryClaim())
        {
            _core.SetException(new OperationCanceledException(token));
        }
    }

    private bool TakeUnlessStopped(TokenDelta delta) => !Volatile.Read(ref _stopped) && Take(delta);

    private bool Take(TokenDelta delta)
    {
        if (_endingRead)
        {
            return false;
        }

        if (Output.TakeInto(delta))
        {
            _endingRead = true;
            delta.FinishReason = _finishReason;
            delta.MatchedStopTokenId = _matchedStopTokenId;
            delta.Error = _error;
        }

        return true;
    }
}
