using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>The captured decode step of one batch size: forward and sampling apart, so that masks can be brought between them.</summary>
internal sealed class DecodeGraph : IDisposable
{
    /// <summary>A bucket that is not captured yet.</summary>
    public DecodeGraph(int rows, DecodeWorkPlanner work)
    {
        Rows = rows;
        Work = work;
        Layout = new StepImage(rows, rows, rows, work.MaxItems, 0);
    }

    /// <summary>Most rows.</summary>
    public int Rows { get; }

    /// <summary>Cuts its contexts into work items.</summary>
    public DecodeWorkPlanner Work { get; }

    /// <summary>Its image's layout.</summary>
    public StepImage Layout { get; }

    /// <summary>From the prologue to the logits; null until captured.</summary>
    public KernelGraph? Forward { get; set; }

    /// <summary>From the logits to the tokens; null until captured.</summary>
    public KernelGraph? Sample { get; set; }

    /// <summary>The step from which on a capture that found no memory is tried again.</summary>
    public long NextTry { get; set; }

    /// <summary>Gives what is captured back: steps of this size run their operations one by one until it is captured again.</summary>
    public void Dispose()
    {
        Forward?.Dispose();
        Sample?.Dispose();
        (Forward, Sample) = (null, null);
    }
}
