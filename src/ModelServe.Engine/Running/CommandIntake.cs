using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>What comes to the engine between two steps: arrivals, cancellations, and the passing of deadlines.</summary>
/// <remarks>
/// Deadlines cost one comparison a step until the earliest has passed. Thread: engine thread only, but for
/// <see cref="EndArrivals"/>.
/// </remarks>
internal sealed class CommandIntake
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(20);

    private readonly Inbox _inbox;
    private readonly StepPlanner _planner;
    private readonly LiveRequests _live;
    private readonly RequestEndings _endings;
    private readonly EngineCounters _counters;
    private DateTimeOffset _now;
    private long _arrivals;
    private long _earliestDeadline = long.MaxValue;

    /// <summary>Makes the intake of one engine.</summary>
    public CommandIntake(Inbox inbox, StepPlanner planner, LiveRequests live, RequestEndings endings, EngineCounters counters)
    {
        _inbox = inbox;
        _planner = planner;
        _live = live;
        _endings = endings;
        _counters = counters;
    }

    /// <summary>How long until a deadline passes, within what a wait can take; infinite when none is near.</summary>
    public TimeSpan UntilNextDeadline(DateTimeOffset now)
    {
        var left = TimeSpan.FromTicks(Math.Max(0, _earliestDeadline - now.UtcTicks));
        return left > LongestWait ? Timeout.InfiniteTimeSpan : left + TimeSpan.FromMilliseconds(1);
    }

    /// <summary>Lets in who arrived, and ends who was cancelled or is too late.</summary>
    public void Take(DateTimeOffset now)
    {
        _now = now;
        for (var sequence = _inbox.TakeArrivals(); sequence is not null;)
        {
            var following = sequence.NextArrival;
            sequence.NextArrival = null;
            Receive(sequence);
            sequence = following;
        }

        for (var sequence = _inbox.TakeCancellations(); sequence is not null;)
        {
            var following = sequence.NextCancellation;
            sequence.NextCancellation = null;
            if (sequence.Phase is SequencePhase.Waiting or SequencePhase.Running)
            {
                // One that has not arrived yet is seen to be cancelled when it does.
                _endings.End(sequence, sequence.Stream.CancelReason, null, now);
            }

            sequence = following;
        }

        if (now.UtcTicks >= _earliestDeadline)
        {
            EndExpired();
        }
    }

    /// <summary>Ends arrivals that no engine thread will receive any more; any thread, once the engine has stopped.</summary>
    public void EndArrivals(DateTimeOffset now)
    {
        for (var sequence = _inbox.TakeArrivals(); sequence is not null;)
        {
            var following = sequence.NextArrival;
            _endings.End(sequence, _live.Failure is null ? FinishReason.Drained : FinishReason.Error, _live.Failure, now);
            sequence = following;
        }
    }

    private void Receive(Sequence sequence)
    {
        if (_live.Failure is { } failure)
        {
            _endings.End(sequence, FinishReason.Error, failure, _now);
        }
        else if (sequence.Stream.CancelReason is not FinishReason.None and var reason)
        {
            _endings.End(sequence, reason, null, _now);
        }
        else
        {
            sequence.Arrival = ++_arrivals;
            sequence.ArrivalTicks = _now.UtcTicks;
            _earliestDeadline = Math.Min(_earliestDeadline, sequence.DeadlineTicks);
            _counters.PromptTokens += sequence.PromptLength;
            _planner.Enqueue(sequence);
        }
    }

    private void EndExpired()
    {
        do
        {
            _earliestDeadline = long.MaxValue;
            for (var i = _planner.Running.Count - 1; i >= 0; i--)
            {
                EndIfExpired(_planner.Running[i]);
            }

            // An ending moves another sequence into the gap, perhaps to a place already passed; hence the outer loop.
            for (var i = _planner.Waiting.Count - 1; i >= 0; i--)
            {
                if (i < _planner.Waiting.Count)
                {
                    EndIfExpired(_planner.Waiting.All[i]);
                }
            }

            foreach (var sequence in _planner.Waiting.All)
            {
                _earliestDeadline = Math.Min(_earliestDeadline, sequence.DeadlineTicks);
            }
        }
        while (_earliestDeadline <= _now.UtcTicks);
    }

    private void EndIfExpired(Sequence sequence)
    {
        if (sequence.DeadlineTicks <= _now.UtcTicks)
        {
            _endings.End(sequence, FinishReason.Deadline, null, _now);
        }
        else
        {
            _earliestDeadline = Math.Min(_earliestDeadline, sequence.DeadlineTicks);
        }
    }
}
