namespace ModelServe.Api.Points;

/// <summary>Lets a test hold requests at named places of their way. A server has none; then the places cost a test for null.</summary>
/// <remarks>Called by the thread that serves the request, for every request; implementations sort out which they mean. Thread-safe.</remarks>
public interface IPipelinePoints
{
    /// <summary>A request is at a place where its code can wait.</summary>
    ValueTask ReachAsync(PipelinePoint point, string requestId);

    /// <summary>A request passes a place where its code cannot wait; holding it holds the thread.</summary>
    void Pass(PipelinePoint point, string requestId);
}
