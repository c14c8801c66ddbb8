using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using ModelServe.Api.Tests.Wire;
using ModelServe.Host.Tests.Cli;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Faults 14 and 26 of the real process: the disk is full, and nobody takes the log.</summary>
public sealed class DiskFaults : IDisposable
{
    private const int Requests = 20;

    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-disk-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_cache_that_has_no_room_is_told_and_the_model_is_served()
    {
        // Files of at most 64 KiB, which the runtime's own double mapping would exceed: what the system answers beyond is an error of the write, as on a full disk.
        using ModelServeProcess server = ModelServeProcess.StartIn(
            "export DOTNET_EnableWriteXorExecute=0; trap '' XFSZ; ulimit -f 64", "", "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--quantize", "int8", "--cache-dir", Path.Combine(_folder, "cache"));
        (_, string http) = await StopTests.ReadyAsync(server);
        Assert.Contains("the quantised weights could not be kept", server.Errors, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "cache")));
        await AnswersAsync(http);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
        Tally.Fault(14, "no room for the cache", Requests, Requests, 0);
    }

    [Theory]
    [InlineData(14, "no room for the log", "2>/dev/full")]
    [InlineData(26, "a log whose reader has gone", "2> >(exec true)")]
    public async Task A_log_that_nobody_takes_keeps_nobody_from_being_served(int fault, string what, string redirection)
    {
        string socket = Path.Combine(_folder, "http.sock");
        using ModelServeProcess server = ModelServeProcess.StartIn(
            ":", redirection, "serve", "--grpc", "unix:" + Path.Combine(_folder, "grpc.sock"), "--http", "unix:" + socket);
        await AnswersAsync("http://localhost", socket);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
        Tally.Fault(fault, what, Requests, Requests, 0);
    }

    private static async Task AnswersAsync(string http, string? socket = null)
    {
        using SocketsHttpHandler handler = new();
        if (socket is not null)
        {
            handler.ConnectCallback = async (_, cancellationToken) =>
            {
                while (true)
                {
                    Socket connection = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    try
                    {
                        await connection.ConnectAsync(new UnixDomainSocketEndPoint(socket), cancellationToken);
                        return new NetworkStream(connection, ownsSocket: true);
                    }
                    catch (SocketException)
                    {
                        // It has not started to listen.
                        connection.Dispose();
                        await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellationToken);
                    }
                }
            };
        }

        using HttpClient client = new(handler);
        for (int i = 0; i < Requests; i++)
        {
            using HttpResponseMessage response = await client.PostAsJsonAsync(
                http + "/v1/chat/completions", new { model = "tiny-mini", messages = new[] { new { role = "user", content = "What is 27 + 58?" } }, temperature = 0 }, Cancellation);
            JsonElement answer = await response.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
            Assert.Equal("85", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        }
    }
}
