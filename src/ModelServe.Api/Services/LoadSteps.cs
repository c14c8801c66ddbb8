using System.Threading.Channels;
using ModelServe.Api.Models;

namespace ModelServe.Api.Services;

/// <summary>What a load has done and its caller has not been told: of every stage the newest step, the stages in order.</summary>
/// <remarks>
/// A slow caller holds no loader up and still hears of every stage. One thread reports at a time, one reads; they may differ.
/// </remarks>
internal sealed class LoadSteps : IProgress<ModelLoadStep>
{
    // A stage waits here once at the most, so there is always room.
    private readonly Channel<ModelLoadStage> _untold = Channel.CreateBounded<ModelLoadStage>(
        new BoundedChannelOptions(Enum.GetValues<ModelLoadStage>().Length) { SingleReader = true });

    private readonly Dictionary<ModelLoadStage, ModelLoadStep> _newest = [];

    /// <inheritdoc/>
    public void Report(ModelLoadStep value)
    {
        bool isFirst;
        lock (_newest)
        {
            isFirst = _newest.TryAdd(value.Stage, value);
            _newest[value.Stage] = value;
        }

        if (isFirst)
        {
            _untold.Writer.TryWrite(value.Stage);
        }
    }

    /// <summary>There will be no more.</summary>
    public void Complete() => _untold.Writer.Complete();

    /// <summary>The steps as they come, until there will be no more.</summary>
    public async IAsyncEnumerable<ModelLoadStep> ReadAllAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (ModelLoadStage stage in _untold.Reader.ReadAllAsync(cancellationToken))
        {
            ModelLoadStep step;
            lock (_newest)
            {
                _newest.Remove(stage, out step);
            }

            yield return step;
        }
    }
}
