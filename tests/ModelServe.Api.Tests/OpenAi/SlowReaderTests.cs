using System.Net.Sockets;
using System.Text;
using ModelServe.Api.Requests;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.OpenAi;

/// <summary>Clients of the HTTP dialect that leave their streams unread, on sockets that hold little.</summary>
public sealed class SlowReaderTests(SyntheticCheckpoint checkpoint) : OpenAiTest(checkpoint)
{
    // With twenty alternatives a token is more than a kilobyte, merged or not: more in all than the system keeps for a connection.
    private const int Tokens = 8000;

    private const string Logprobs = ",\"stream\":true,\"ignore_eos\":true,\"logprobs\":true,\"top_logprobs\":20";

    [Fact]
    public async Task A_reader_that_stays_away_is_cut_off()
    {
        using var fake = new FakeModel(context: 16384, blocks: 1100);
        var options = new ApiOptions { Limits = new RequestLimits { StalledWrite = TimeSpan.FromMilliseconds(300) } };
        await using WireServer server = await StartAsync(options, fake);
        using Socket socket = await AskAsync(server, Logprobs, Tokens);
        await WireServer.EventuallyAsync(async () => await CutOffAsync(server) == 1, "cut off");
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task A_reader_that_comes_back_in_time_gets_the_rest_merged()
    {
        using var fake = new FakeModel(context: 16384, blocks: 1100);
        await using WireServer server = await StartAsync(null, fake);
        using Socket socket = await AskAsync(server, Logprobs, Tokens);
        await WireServer.EventuallyAsync(() => server.Status.GeneratedTokens >= Tokens, "the engine is done; it waits for no reader");
        string answer = await ReadAsync(socket, until: "data: [DONE]");
        Assert.Equal(0, await CutOffAsync(server));
        // Each token has one member of this name that its alternatives have not.
        Assert.Equal(Tokens, answer.Split("\"top_logprobs\"").Length - 1);
        Assert.True(answer.Split("data: ").Length < Tokens, "what came while the reader was away is merged");
    }

    [Fact]
    public async Task The_error_event_of_a_failed_stream_reaches_a_reader_that_is_behind()
    {
        var time = new SteppedClock();
        using var fake = new FakeModel();
        fake.ExhaustedSteps = step =>
        {
            // Some forty kilobytes: more than the client's system takes unread, less than what would park the server's last write.
            fake.Failure = step > 30 ? "planted" : null;
            return false;
        };
        await using WireServer server = await StartAsync(time, new ApiOptions { StepLimit = TimeSpan.FromHours(1) }, fake);
        using Socket socket = await AskAsync(server, Logprobs, 100);
        await WireServer.EventuallyAsync(() => server.Status.Failure is not null, "failed");
        // All was sent, most of it still in the server's system: until it says goodbye, or has gone without.
        await WireServer.EventuallyAsync(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(100));
                return time.WasAskedFor(TimeSpan.FromSeconds(5)) || server.Drain.LiveRequestCount == 0;
            },
            "the server has done what it does before the client reads");
        string answer = await ReadAsync(socket, until: "\"error\":{");
        Assert.Contains("\"error\":{", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", answer, StringComparison.Ordinal);
        time.Advance(TimeSpan.FromSeconds(5));
        await WireServer.EventuallyAsync(() => server.Drain.LiveRequestCount == 0, "over");
    }

    private static async Task<Socket> AskAsync(WireServer server, string further, int tokens)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        await socket.ConnectAsync(server.HttpAddress.Host, server.HttpAddress.Port, Token);
        string json = Chat(further).Replace("64", tokens.ToString(System.Globalization.CultureInfo.InvariantCulture), StringComparison.Ordinal);
        string head = $"POST {Chats} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {json.Length}\r\n\r\n";
        await socket.SendAsync(Encoding.ASCII.GetBytes(head + json), Token);
        return socket;
    }

    /// <summary>Reads until a text has come, the connection ends or it is reset; gives what was read.</summary>
    private static async Task<string> ReadAsync(Socket socket, string until)
    {
        byte[] piece = new byte[64 * 1024];
        using var all = new MemoryStream();
        try
        {
            for (int count; (count = await socket.ReceiveAsync(piece, Token)) > 0;)
            {
                await all.WriteAsync(piece.AsMemory(0, count), Token);
                // Looked for in the last pieces alone: an answer has megabytes.
                int tail = (int)Math.Min(all.Length, count + until.Length);
                if (Encoding.UTF8.GetString(all.GetBuffer(), (int)all.Length - tail, tail).Contains(until, StringComparison.Ordinal))
                {
                    break;
                }
            }
        }
        catch (SocketException)
        {
            // Reset: what did not come by now is lost.
        }

        return Encoding.UTF8.GetString(all.GetBuffer(), 0, (int)all.Length);
    }

    private static async Task<double> CutOffAsync(WireServer server) => MetricsTests.Value(
        await server.Http.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), "modelserve:aborted_by_stall_total");
}
