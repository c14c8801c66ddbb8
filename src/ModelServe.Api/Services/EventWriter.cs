using Grpc.Core;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;
using ModelServe.V1;

namespace ModelServe.Api.Services;

/// <summary>An output as events of modelserve.v1, for gRPC and its facades.</summary>
internal sealed class EventWriter(IServerStreamWriter<GenerationEvent> target, ReadRequest read) : IOutputWriter
{
    private readonly TokensMessage _message = new(read);

    /// <inheritdoc/>
    public Task AcceptAsync(AdmittedRequest request) => target.WriteAsync(WireEvents.Accepted(request), CancellationToken.None);

    /// <inheritdoc/>
    public Task WriteAsync(AdmittedRequest request, TokenDelta delta, int count, OutputText text)
    {
        _message.Fill(delta, count, text);
        return target.WriteAsync(_message.Event, CancellationToken.None);
    }

    /// <inheritdoc/>
    public Task EndAsync(AdmittedRequest request, OutputEnding ending) =>
        target.WriteAsync(WireEvents.Ending(request, ending), CancellationToken.None);
}
