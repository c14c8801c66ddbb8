using System.Net.Sockets;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Tests.Wire;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Unix domain sockets: this user's alone, free again after a kill, never taken from whoever has the path.</summary>
public sealed class UnixSocketTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-socket-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Grpc => Path.Combine(_folder, "grpc.sock");

    private string Http => Path.Combine(_folder, "http.sock");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Both_interfaces_answer_on_sockets_of_mode_0600_also_after_a_kill()
    {
        using (ModelServeProcess killed = Start())
        {
            await killed.WaitForErrorTextAsync("ready: ", Cancellation);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Grpc));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Http));
            killed.Kill();
            Assert.Equal(137, await killed.WaitAsync(Cancellation));
        }

        Assert.True(File.Exists(Grpc), "the killed process leaves its file");
        using ModelServeProcess server = Start();
        await server.WaitForErrorTextAsync("ready: ", Cancellation);
        using GrpcChannel channel = GrpcChannel.ForAddress("http://localhost", new GrpcChannelOptions { HttpHandler = Connecting(Grpc), DisposeHttpClient = true });
        GenerationResult answer = await new Inference.InferenceClient(channel).ChatUnaryAsync(StopTests.Question(), new CallOptions(cancellationToken: Cancellation));
        Assert.Equal("85", answer.Output.Text);
        using HttpClient client = new(Connecting(Http));
        Assert.Contains("tiny-mini", await client.GetStringAsync(new Uri("http://localhost/v1/models"), Cancellation), StringComparison.Ordinal);

        // Whoever comes second is told, and the first goes on.
        using (ModelServeProcess second = Start())
        {
            Assert.Equal(1, await second.WaitAsync(Cancellation));
            Assert.Contains($"{Grpc}: a path that is free; got one that somebody listens on", second.Errors, StringComparison.Ordinal);
        }

        Assert.Contains("tiny-mini", await client.GetStringAsync(new Uri("http://localhost/v1/models"), Cancellation), StringComparison.Ordinal);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
        Assert.False(File.Exists(Grpc), "an orderly end takes its file away");
        Tally.Fault(16, "killed and started again on the same sockets", 3, 2, 1);
    }

    [Fact]
    public async Task A_file_that_is_no_socket_is_left_alone()
    {
        await File.WriteAllTextAsync(Grpc, "precious", Cancellation);
        using ModelServeProcess server = Start();
        Assert.Equal(1, await server.WaitAsync(Cancellation));
        Assert.Contains($"{Grpc}: a path that is free; got a file that is no socket", server.Errors, StringComparison.Ordinal);
        Assert.Equal("precious", await File.ReadAllTextAsync(Grpc, Cancellation));
    }

    [Theory]
    [InlineData("unix:relative.sock")]
    [InlineData("unix:")]
    [InlineData("unix:/folder/")]
    public async Task A_path_that_is_none_is_refused(string address)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--grpc", address);
        Assert.NotEqual(0, code);
        Assert.Contains("unix:/PATH", errors, StringComparison.Ordinal);
    }

    private ModelServeProcess Start() => ModelServeProcess.Start("serve", "--grpc", "unix:" + Grpc, "--http", "unix:" + Http);

    private static SocketsHttpHandler Connecting(string path) => new()
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    };
}
