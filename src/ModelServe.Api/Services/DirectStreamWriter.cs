using System.Buffers.Binary;
using System.IO.Pipelines;
using Google.Protobuf;
using Grpc.Core;

namespace ModelServe.Api.Services;

/// <summary>A server stream whose messages, from the second on, go straight into the response's pipe.</summary>
/// <remarks>
/// The framework's writer takes two state machines, a lock and several turns of the pipe for a message; a token's message is a
/// few bytes of known length, so that a turn and a flush are enough. The first message goes the framework's way, which
/// starts the response. Messages are never compressed. One writer at a time, as gRPC demands anyway.
/// </remarks>
/// <param name="first">The framework's writer.</param>
/// <param name="context">The call.</param>
internal sealed class DirectStreamWriter<TMessage>(IServerStreamWriter<TMessage> first, ServerCallContext context) : IServerStreamWriter<TMessage>
    where TMessage : class, IBufferMessage
{
    /// <summary>Before each message: whether it is compressed, and its length.</summary>
    private const int PrefixBytes = 5;

    private readonly CancellationToken _cancelled = context.CancellationToken;
    private PipeWriter? _pipe;

    /// <inheritdoc/>
    public WriteOptions? WriteOptions
    {
        get => first.WriteOptions;
        set => first.WriteOptions = value;
    }

    /// <inheritdoc/>
    /// <returns>Completes when the client may be sent more.</returns>
    /// <exception cref="InvalidOperationException">The call is over.</exception>
    public Task WriteAsync(TMessage message)
    {
        if (_pipe is null)
        {
            return BeginAsync(message);
        }

        ThrowIfOver();
        int length = message.CalculateSize();
        Span<byte> space = _pipe.GetSpan(PrefixBytes + length);
        space[0] = 0;
        BinaryPrimitives.WriteInt32BigEndian(space[1..], length);
        message.WriteTo(space.Slice(PrefixBytes, length));
        _pipe.Advance(PrefixBytes + length);
        ValueTask<FlushResult> flush = _pipe.FlushAsync(CancellationToken.None);
        if (!flush.IsCompletedSuccessfully)
        {
            return WaitAsync(flush);
        }

        _ = flush.Result;
        ThrowIfOver();
        return Task.CompletedTask;
    }

    private async Task BeginAsync(TMessage message)
    {
        await first.WriteAsync(message);
        _pipe = context.GetHttpContext().Response.BodyWriter;
    }

    private async Task WaitAsync(ValueTask<FlushResult> flush)
    {
        await flush;
        ThrowIfOver();
    }

    // A flush does not tell that the client has gone.
    private void ThrowIfOver()
    {
        if (_cancelled.IsCancellationRequested)
        {
            throw new InvalidOperationException("the call is over");
        }
    }
}
