using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>The captured decode steps of a model, one for each batch size met so far.</summary>
/// <remarks>
/// Where the device has no memory for a capture or a launch, the steps of that size run their operations one by one, which needs
/// nothing that is not there already; the capture is tried again a good while later. Thread: the engine's.
/// </remarks>
/// <param name="stream">Where everything runs.</param>
/// <param name="largest">The largest batch size.</param>
/// <param name="make">Makes the graph of a batch size, not captured.</param>
/// <param name="forward">Runs a step from the prologue to the logits.</param>
/// <param name="sample">Runs it from the logits to the tokens.</param>
/// <param name="report">Told when there is no memory; null for nobody.</param>
internal sealed class DecodeGraphs(
    KernelStream stream, int largest, Func<int, DecodeGraph> make, Action forward, Action sample, Action<string>? report) : IDisposable
{
    /// <summary>Steps after which a capture that found no memory is tried again.</summary>
    public const int StepsBetweenTries = 1024;

    private readonly DecodeGraph?[] _graphs = new DecodeGraph?[largest + 1];

    /// <summary>Batch sizes whose graphs are there, ascending.</summary>
    public IEnumerable<int> CapturedRows => Enumerable.Range(0, _graphs.Length).Where(rows => _graphs[rows]?.Forward is not null);

    /// <summary>The graph of a batch size, which may not be captured.</summary>
    public DecodeGraph Of(int rows) => _graphs[rows] ??= make(rows);

    /// <summary>Whether the graph is to be captured before it is used: it is new, or a good while has passed since there was no memory.</summary>
    public static bool IsDue(DecodeGraph graph, long step) => graph.Forward is null && step >= graph.NextTry;

    /// <summary>Captures both parts of a step without rows, which the caller has bound and whose image is empty.</summary>
    /// <exception cref="KernelException">The library refused something else than for want of memory.</exception>
    public void Capture(DecodeGraph graph, long step)
    {
        // Run once first, so that every kernel is loaded before the capture.
        forward();
        sample();
        stream.Synchronize();
        try
        {
            graph.Forward = stream.Capture(forward);
            graph.Sample = stream.Capture(sample);
        }
        catch (KernelException exception) when (exception.Status == KernelStatus.OutOfMemory)
        {
            GoWithout(graph, step, exception);
        }
    }

    /// <summary>Whether a captured part was launched; where there is no memory for that, both are given back.</summary>
    /// <exception cref="KernelException">The library refused something else than for want of memory.</exception>
    public bool Launch(DecodeGraph graph, KernelGraph? captured, long step)
    {
        try
        {
            captured?.Launch(stream);
            return captured is not null;
        }
        catch (KernelException exception) when (exception.Status == KernelStatus.OutOfMemory)
        {
            GoWithout(graph, step, exception);
            return false;
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var graph in _graphs)
        {
            graph?.Dispose();
        }
    }

    private void GoWithout(DecodeGraph graph, long step, KernelException reason)
    {
        // What was launched of it before has to end first.
        stream.Synchronize();
        graph.Dispose();
        graph.NextTry = step + StepsBetweenTries;
        report?.Invoke($"no memory for the graphs of {graph.Rows} sequences, whose steps go without them for now: {reason.Message}");
    }
}
