using System.Collections.Concurrent;
using ModelServe.Api.Points;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Holds one request at one point until it is let go, and counts what every request passed.</summary>
internal sealed class HeldPoints(PipelinePoint held, string requestId) : IPipelinePoints
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<(PipelinePoint, string), int> _passed = new();

    /// <summary>Complete once the request is there.</summary>
    public Task Reached => _reached.Task;

    /// <summary>Lets it go on.</summary>
    public void LetGo() => _open.TrySetResult();

    /// <summary>How often a request passed a point.</summary>
    public int Count(PipelinePoint point, string id) => _passed.GetValueOrDefault((point, id));

    /// <inheritdoc />
    public async ValueTask ReachAsync(PipelinePoint point, string requestId)
    {
        if (Note(point, requestId))
        {
            await _open.Task;
        }
    }

    /// <inheritdoc />
    public void Pass(PipelinePoint point, string requestId)
    {
        if (Note(point, requestId))
        {
            // These places have no await; the thread is held, as a slow lock or a page fault would hold it.
            ((IAsyncResult)_open.Task).AsyncWaitHandle.WaitOne();
        }
    }

    private bool Note(PipelinePoint point, string id)
    {
        _passed.AddOrUpdate((point, id), 1, static (_, count) => count + 1);
        return point == held && id == requestId && _reached.TrySetResult();
    }
}
