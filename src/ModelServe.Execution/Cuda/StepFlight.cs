using ModelServe.Engine.Running;
using ModelServe.Execution.Kernels;

namespace ModelServe.Execution.Cuda;

/// <summary>One step's pinned memory and event: what the device reads of it, what it writes back, and when it is done.</summary>
/// <remarks>
/// The executor turns through as many as may be in flight and one more. Neither the image nor the results are touched by the host
/// between <see cref="Depart"/> and <see cref="Arrive"/>. Thread: the engine's.
/// </remarks>
internal sealed unsafe class StepFlight : IDisposable
{
    private readonly KernelDevice _device;
    private readonly KernelEvent _done;
    private bool _away;

    /// <summary>Takes the memory.</summary>
    /// <exception cref="KernelException">The host has not enough of it to pin.</exception>
    public StepFlight(KernelDevice device, ExecutorGeometry geometry, int imageBytes, int scoreBytes)
    {
        _device = device;
        _done = new KernelEvent(device);
        Image = (byte*)device.AllocatePinned(imageBytes);
        Results = (byte*)device.AllocatePinned(SampleResults.BytesFor(geometry));
        Scores = (byte*)device.AllocatePinned(scoreBytes);
        Sequences = new int[geometry.MaxSequences];
        Wanted = new int[geometry.MaxSequences];
        Slots = new int[geometry.MaxSequences];
        Tenancies = new long[geometry.MaxSequences];
        IsPostponed = new bool[geometry.MaxSequences];
        Failures = new string?[geometry.MaxSequences];
    }

    /// <summary>The image, on the host.</summary>
    public byte* Image { get; }

    /// <summary>What comes back, laid out as <see cref="SampleResults"/>.</summary>
    public byte* Results { get; }

    /// <summary>Orders and results of scored prompt tokens, laid out as <see cref="ScoreLayout"/>.</summary>
    public byte* Scores { get; }

    /// <summary>[sampled row] the plan's sequence.</summary>
    public int[] Sequences { get; }

    /// <summary>[sampled row] alternatives asked for; −1 for no log probability. Valid with <see cref="HasLogprobs"/>.</summary>
    public int[] Wanted { get; }

    /// <summary>[sampled row] the slot.</summary>
    public int[] Slots { get; }

    /// <summary>[sampled row] which assignment of the slot it belongs to.</summary>
    public long[] Tenancies { get; }

    /// <summary>[sampled row] whether its token is left to a later step: what comes back of it means nothing.</summary>
    public bool[] IsPostponed { get; }

    /// <summary>[sampled row] why its constraint allows nothing; null where it does or there is none.</summary>
    public string?[] Failures { get; }

    /// <summary>Whether its tokens have been recorded with their slots.</summary>
    public bool IsRecorded { get; set; }

    /// <summary>Sampled rows.</summary>
    public int Sampled { get; set; }

    /// <summary>Scored prompt tokens.</summary>
    public int Scored { get; set; }

    /// <summary>Sequences of the plan.</summary>
    public int SequenceCount { get; set; }

    /// <summary>The plan's number.</summary>
    public long StepId { get; set; }

    /// <summary>Whether log probabilities come back too.</summary>
    public bool HasLogprobs { get; set; }

    /// <summary>Waits until the memory is free to be written.</summary>
    /// <exception cref="KernelException">What was in flight failed.</exception>
    public void Arrive()
    {
        if (_away)
        {
            _done.Synchronize();
            _away = false;
        }
    }

    /// <summary>Everything of the step has been submitted.</summary>
    /// <exception cref="KernelException">The driver refused.</exception>
    public void Depart(KernelStream stream)
    {
        _done.Record(stream);
        _away = true;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _device.FreePinned(Image);
        _device.FreePinned(Results);
        _device.FreePinned(Scores);
        _done.Dispose();
    }
}
