using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using ModelServe.Api.Requests;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>What raw bytes are answered with: pinned, because the framework decides most of it, and good streams stay unharmed.</summary>
public sealed class MalformedTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private const string Generate = "/modelserve.v1.Inference/Generate";

    [Fact]
    public async Task Raw_bytes_get_the_status_that_is_pinned_and_harm_no_other_stream()
    {
        await using WireServer server = await StartAsync();
        server.Fake.StepTime = TimeSpan.FromMilliseconds(2);
        Task<GenerationResult> good = server.Client.GenerateOnceAsync(Prompt(200), cancellationToken: Token);
        byte[] request = Prompt().ToByteArray();

        Assert.Equal("13", await StatusAsync(server, Generate, []));
        Assert.Equal("13", await StatusAsync(server, Generate, Frame(request)[..7]));
        Assert.Equal("13", await StatusAsync(server, Generate, Frame(request, flag: 1)));
        Assert.Equal("3", await StatusAsync(server, Generate, Frame([0xff, 0xff, 0xff, 0xff])));
        Assert.Equal("2", await StatusAsync(server, Generate, [0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3]));
        Assert.Equal("12", await StatusAsync(server, Generate, Frame(request, flag: 1), encoding: "zstd"));
        Assert.Equal("12", await StatusAsync(server, "/modelserve.v1.Inference/Nothing", Frame(request)));
        Assert.Equal("12", await StatusAsync(server, "/nothing.Nothing/Generate", Frame(request)));

        Assert.Equal(200, (await good).Output.TokenIds.Count);
        await server.QuiesceAsync();
        Tally.Report("gRPC", "raw frames with a pinned status, and a good stream beside them", 9, 1, 8);
    }

    [Fact]
    public async Task A_message_beyond_the_limit_is_refused_compressed_or_not()
    {
        var options = new ApiOptions { Limits = new RequestLimits { MessageBytes = 64 * 1024 } };
        await using WireServer server = await StartAsync(options);
        byte[] large = new GenerateRequest { Text = new string('x', 100_000) }.ToByteArray();
        Assert.Equal("8", await StatusAsync(server, Generate, Frame(Compress(large), flag: 1), encoding: "gzip"));
        GenerateRequest request = GenerateRequest.Parser.ParseFrom(large);
        Grpc.Core.RpcException exception = await Assert.ThrowsAnyAsync<Grpc.Core.RpcException>(
            () => server.Client.GenerateOnceAsync(request, cancellationToken: Token));
        Assert.Equal(Grpc.Core.StatusCode.ResourceExhausted, exception.StatusCode);
    }

    [Fact]
    public async Task An_unreadable_deadline_leaves_the_servers_maximum()
    {
        using var fake = new FakeModel(context: 4096) { StepTime = TimeSpan.FromMilliseconds(1) };
        var options = new ApiOptions { Limits = new RequestLimits { Duration = TimeSpan.FromMilliseconds(200) } };
        await using WireServer server = await StartAsync(options, fake);
        Assert.Equal("0", await StatusAsync(server, Generate, Frame(Prompt(4000).ToByteArray()), timeout: "99999999999Q"));
        await server.QuiesceAsync();
        Tally.Fault(6, "a deadline that cannot be read: the server's maximum ends it", 1, 0, 1);
    }

    [Fact]
    public async Task Another_content_type_is_no_gRPC()
    {
        await using WireServer server = await StartAsync();
        using HttpResponseMessage response = await SendAsync(server, Generate, [1, 2, 3], null, null, "application/json");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    private static async Task<string> StatusAsync(
        WireServer server, string path, byte[] body, string? encoding = null, string? timeout = null)
    {
        using HttpResponseMessage response = await SendAsync(server, path, body, encoding, timeout, "application/grpc");
        _ = await response.Content.ReadAsByteArrayAsync(Token);
        HttpHeaders source = response.TrailingHeaders.Contains("grpc-status") ? response.TrailingHeaders : response.Headers;
        string message = source.TryGetValues("grpc-message", out IEnumerable<string>? text) ? text.First() : string.Empty;
        Assert.DoesNotContain(".cs", message, StringComparison.Ordinal);
        return Assert.Single(source.GetValues("grpc-status"));
    }

    private static async Task<HttpResponseMessage> SendAsync(
        WireServer server, string path, byte[] body, string? encoding, string? timeout, string contentType)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.GrpcAddress, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(body),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(contentType);
        request.Headers.TE.ParseAdd("trailers");
        AddHeader(request, "grpc-encoding", encoding);
        AddHeader(request, "grpc-timeout", timeout);
        return await client.SendAsync(request, Token);
    }

    private static void AddHeader(HttpRequestMessage request, string name, string? value)
    {
        if (value is not null)
        {
            request.Headers.Add(name, value);
        }
    }

    private static byte[] Frame(byte[] message, byte flag = 0)
    {
        var frame = new byte[5 + message.Length];
        frame[0] = flag;
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
        message.CopyTo(frame, 5);
        return frame;
    }

    private static byte[] Compress(byte[] message)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest))
        {
            gzip.Write(message);
        }

        return output.ToArray();
    }
}
