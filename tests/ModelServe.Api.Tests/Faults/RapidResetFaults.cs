using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Faults;

/// <summary>Fault 3 without a client library: streams that are opened and reset in one breath, frame by frame.</summary>
public sealed class RapidResetFaults(SyntheticCheckpoint checkpoint) : FaultTest(checkpoint)
{
    private const int StreamsOfBatch = 50;

    [Fact]
    public Task Streams_reset_as_soon_as_they_are_opened_harm_no_neighbour() => ResetAsync(1_000);

    [Fact(Explicit = true)]
    public Task Streams_reset_as_soon_as_they_are_opened_harm_no_neighbour_in_full() => ResetAsync(50_000);

    private async Task ResetAsync(int count)
    {
        using var fake = new FakeModel(context: 2048, blocks: 1100) { StepTime = TimeSpan.FromMilliseconds(1) };
        await using WireServer server = await StartAsync(null, fake);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        int whole = 0;
        Task[] good = [.. Enumerable.Range(0, 2).Select(async i =>
        {
            do
            {
                Assert.Equal(FinishReason.Length, (await OneAsync(server, Prompt(200, text: $"good {i}"))).Reason);
                Interlocked.Increment(ref whole);
            }
            while (!stop.IsCancellationRequested);
        })];
        int sent = 0;
        int connections = 0;
        while (sent < count)
        {
            // The web server ends a connection that does only this; then it goes on with the next.
            connections++;
            using var socket = new TcpClient { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, server.GrpcAddress.Port, Token);
            sent += await ResetOnAsync(socket.GetStream(), server.GrpcAddress.Authority, count - sent);
        }

        await stop.CancelAsync();
        await Task.WhenAll(good);
        await QuietAsync(server);
        Tally.Fault(3, $"streams reset as they open, on {connections} connections", sent, 0, sent);
        Tally.Fault(3, "good streams beside them", whole, whole, 0);
    }

    /// <summary>Opens and resets streams until the connection is closed or all were sent; how many were.</summary>
    private static async Task<int> ResetOnAsync(NetworkStream stream, string authority, int most)
    {
        byte[] headers = Headers(authority);
        byte[] body = Prompt(800).ToByteArray();
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task closed = ReadToEndAsync(stream, reading.Token);
        int sent = 0;
        try
        {
            await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), Token);
            await stream.WriteAsync(Frame(4, 0, 0, []), Token);
            var batch = new MemoryStream();
            for (uint id = 1; sent < most && !closed.IsCompleted; batch.SetLength(0))
            {
                for (int i = 0; i < StreamsOfBatch && sent < most; i++, id += 2, sent++)
                {
                    byte[] message = [0, 0, 0, 0, (byte)body.Length, .. body];
                    batch.Write(Frame(1, 4, id, headers));
                    batch.Write(Frame(0, 1, id, message));
                    batch.Write(Frame(3, 0, id, [0, 0, 0, 8]));
                }

                await stream.WriteAsync(batch.GetBuffer().AsMemory(0, (int)batch.Length), Token);
            }
        }
        catch (IOException)
        {
            // Closed while it was written to.
        }

        await reading.CancelAsync();
        await closed;
        return sent;
    }

    private static async Task ReadToEndAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        byte[] answer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(answer, cancellationToken) > 0)
            {
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            // Closed by either side.
        }
    }

    private static byte[] Frame(byte kind, byte flags, uint stream, byte[] payload)
    {
        byte[] frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteUInt32BigEndian(frame, (uint)payload.Length << 8);
        frame[3] = kind;
        frame[4] = flags;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>POST, http and the rest as literals, by the static table of header compression.</summary>
    private static byte[] Headers(string authority) =>
    [
        0x83, 0x86, 0x01, .. Text(authority), 0x04, .. Text("/modelserve.v1.Inference/Generate"),
        0x0f, 0x10, .. Text("application/grpc"), 0x00, .. Text("te"), .. Text("trailers"),
    ];

    private static byte[] Text(string text) => [(byte)text.Length, .. Encoding.ASCII.GetBytes(text)];
}
