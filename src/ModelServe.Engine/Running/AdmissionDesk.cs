using ModelServe.Engine.Admission;
using ModelServe.Engine.Planning;

namespace ModelServe.Engine.Running;

/// <summary>Takes requests in from any thread: checks them, takes their places, and leaves them for the engine thread.</summary>
/// <remarks>Several requests that belong together are taken in as one or not at all.</remarks>
internal sealed class AdmissionDesk
{
    private readonly AdmissionGate _gate;
    private readonly LiveRequests _live;
    private readonly Inbox _inbox;
    private readonly TimeProvider _time;
    private readonly int _maxModelLength;

    /// <summary>Makes the desk of one engine.</summary>
    public AdmissionDesk(ExecutorGeometry geometry, LiveRequests live, Inbox inbox, TimeProvider time)
    {
        _gate = new AdmissionGate(geometry, time);
        _live = live;
        _inbox = inbox;
        _time = time;
        _maxModelLength = geometry.MaxModelLength;
    }

    /// <summary>Takes one request in, or says why not.</summary>
    public AdmissionResult Admit(GenerationRequest request)
    {
        Sequence sequence = null!;
        var rejection = Admit(new ReadOnlySpan<GenerationRequest>(in request), new Span<Sequence>(ref sequence));
        return rejection is null ? AdmissionResult.Accepted(sequence.Stream) : AdmissionResult.Refused(rejection);
    }

    /// <summary>Takes all of some requests in, or none and says why.</summary>
    public Rejection? AdmitAll(ReadOnlySpan<GenerationRequest> requests, Span<TokenStream> streams)
    {
        var sequences = new Sequence[requests.Length];
        if (Admit(requests, sequences) is { } rejection)
        {
            return rejection;
        }

        for (var i = 0; i < sequences.Length; i++)
        {
            streams[i] = sequences[i].Stream;
        }

        return null;
    }

    private Rejection? Admit(ReadOnlySpan<GenerationRequest> requests, Span<Sequence> sequences)
    {
        foreach (var request in requests)
        {
            if (_gate.Check(request) is { } refused)
            {
                return refused;
            }
        }

        if (_live.TryEnter(requests, sequences, _maxModelLength, _inbox) is { } rejection)
        {
            return rejection;
        }

        var now = _time.GetUtcNow();
        foreach (var sequence in sequences)
        {
            sequence.Stream.Timings.Arrived = now;
            _inbox.AddArrival(sequence);
        }

        return null;
    }
}
