using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>The one gate through which every accepted request ends, once.</summary>
/// <remarks>Thread: engine thread; for arrivals that a stopped engine will not see also the thread that brought them.</remarks>
internal sealed class RequestEndings
{
    private readonly StepPlanner _planner;
    private readonly LiveRequests _live;

    /// <summary>Makes the gate of one engine.</summary>
    public RequestEndings(StepPlanner planner, LiveRequests live)
    {
        _planner = planner;
        _live = live;
    }

    /// <summary>Takes everything back from a sequence and tells its reader why; nothing if it has ended before.</summary>
    public void End(Sequence sequence, FinishReason reason, string? error, DateTimeOffset now)
    {
        if (!sequence.TryBeginEnding())
        {
            return;
        }

        _planner.Remove(sequence);
        sequence.Stream.Timings.Finished = now;
        _live.Forget(sequence);
        int? stopToken = reason == FinishReason.Stop ? sequence.Output.Tokens.Span[^1] : null;
        sequence.Stream.End(reason, stopToken, error);
        _live.CountDown();
    }
}
