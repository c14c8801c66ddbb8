using ModelServe.Engine.Admission;

namespace ModelServe.Api.Points;

/// <summary>A token stream that tells of the places it passes.</summary>
internal sealed class PointedStream(TokenStream inner, IPipelinePoints points) : TokenStream
{
    /// <inheritdoc/>
    public override string RequestId => inner.RequestId;

    /// <inheritdoc/>
    public override RequestTimings Timings => inner.Timings;

    /// <inheritdoc/>
    public override async ValueTask<bool> ReadAsync(TokenDelta delta, CancellationToken cancellationToken)
    {
        await points.ReachAsync(PipelinePoint.Reading, RequestId);
        bool news = await inner.ReadAsync(delta, cancellationToken);
        if (news)
        {
            await points.ReachAsync(delta.FinishReason == FinishReason.None ? PipelinePoint.Taken : PipelinePoint.Ended, RequestId);
        }

        return news;
    }

    /// <inheritdoc/>
    public override void StopReading() => inner.StopReading();

    /// <inheritdoc/>
    public override void Cancel(FinishReason reason)
    {
        points.Pass(PipelinePoint.Cancelling, RequestId);
        inner.Cancel(reason);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            points.Pass(PipelinePoint.Releasing, RequestId);
            base.Dispose(disposing);
            inner.Dispose();
            points.Pass(PipelinePoint.Released, RequestId);
            return;
        }

        base.Dispose(disposing);
    }
}
