using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Security;
using ModelServe.Api.Tests.Wire;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Security;

/// <summary>TLS on the ports, with authorities that the tests make up.</summary>
public sealed class TlsTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task One_port_speaks_grpc_and_http_over_tls()
    {
        using TestAuthority authority = new TestAuthority().WithServer();
        await using WireServer server = await StartAsync(new ApiOptions { Tls = authority.Files });
        using SocketsHttpHandler handler = Trusting(authority);
        Assert.Equal(16, await GenerateAsync(server, handler));
        // A handler that a channel has used is the channel's.
        using var http = new HttpClient(Trusting(authority));
        using HttpResponseMessage answer = await http.GetAsync(Secure(server.GrpcAddress, "/version"), Token);
        Assert.Equal((HttpStatusCode.OK, HttpVersion.Version11), (answer.StatusCode, answer.Version));
    }

    [Fact]
    public async Task A_client_that_trusts_another_authority_does_not_connect()
    {
        using TestAuthority authority = new TestAuthority().WithServer();
        using var other = new TestAuthority("another");
        await using WireServer server = await StartAsync(new ApiOptions { Tls = authority.Files });
        using SocketsHttpHandler handler = Trusting(other);
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => GenerateAsync(server, handler));
        Assert.IsType<AuthenticationException>(refused.Status.DebugException?.GetBaseException());
    }

    [Fact]
    public async Task A_client_in_cleartext_gets_nothing()
    {
        using TestAuthority authority = new TestAuthority().WithServer();
        await using WireServer server = await StartAsync(new ApiOptions { Tls = authority.Files });
        using var http = new HttpClient();
        var plain = new UriBuilder(server.GrpcAddress) { Scheme = "http", Path = "/health" };
        await Assert.ThrowsAsync<HttpRequestException>(() => http.GetAsync(plain.Uri, Token));
    }

    [Theory]
    [InlineData("right", true)]
    [InlineData("none", false)]
    [InlineData("expired", false)]
    [InlineData("stranger", false)]
    public async Task With_a_client_authority_only_its_valid_clients_are_served(string who, bool served)
    {
        using TestAuthority authority = new TestAuthority().WithServer();
        // The same name, another key: what is pinned is the key and not the name.
        using var stranger = new TestAuthority();
        await using WireServer server = await StartAsync(new ApiOptions { Tls = authority.Files with { ClientCaFile = authority.CaFile } });
        using X509Certificate2 certificate = who == "stranger" ? stranger.Client() : authority.Client(who == "expired");
        using SocketsHttpHandler handler = Trusting(authority, who == "none" ? null : certificate);
        if (served)
        {
            Assert.Equal(16, await GenerateAsync(server, handler));
        }
        else
        {
            RpcException refused = await Assert.ThrowsAsync<RpcException>(() => GenerateAsync(server, handler));
            Assert.True(refused.StatusCode is StatusCode.Unavailable or StatusCode.Internal, refused.ToString());
        }
    }

    [Fact]
    public async Task New_handshakes_get_the_new_certificate_and_old_connections_stay()
    {
        using TestAuthority authority = new TestAuthority().WithServer("before");
        await using WireServer server = await StartAsync(
            new ApiOptions { Tls = authority.Files, ReloadInterval = TimeSpan.FromMilliseconds(20) });
        Assert.Equal("CN=before", await SubjectAsync(server));
        using SocketsHttpHandler old = Trusting(authority);
        Assert.Equal(16, await GenerateAsync(server, old));
        await File.WriteAllTextAsync(authority.Files.CertificateFile, "half a certificate", Token);
        await Task.Delay(TimeSpan.FromMilliseconds(60), TimeProvider.System, Token);
        Assert.Equal("CN=before", await SubjectAsync(server));
        authority.WithServer("after");
        await WireServer.EventuallyAsync(async () => await SubjectAsync(server) == "CN=after", "the new certificate is in force");

        Assert.Equal(16, await GenerateAsync(server, old));
    }

    [Theory]
    [InlineData(false, false, false, false)]
    [InlineData(true, false, false, false)]
    [InlineData(false, true, false, false)]
    [InlineData(true, true, false, true)]
    [InlineData(false, false, true, true)]
    public void Beyond_loopback_only_with_tls_and_keys_or_by_explicit_wish(bool tls, bool keys, bool wish, bool allowed)
    {
        var options = new ApiOptions
        {
            Tls = tls ? new TlsFiles("c", "k") : null,
            ApiKeyFile = keys ? "keys" : null,
            AllowInsecureRemote = wish,
        };
        Assert.Equal(allowed, ListenerRule.Refusal(new IPEndPoint(IPAddress.Any, 1), options) is null);
        Assert.Null(ListenerRule.Refusal(new IPEndPoint(IPAddress.IPv6Loopback, 1), options));
    }

    private static async Task<string> SubjectAsync(WireServer server)
    {
        using var client = new System.Net.Sockets.TcpClient();
        await client.ConnectAsync(server.GrpcAddress.Host, server.GrpcAddress.Port, Token);
#pragma warning disable CA5359 // What is looked at is which certificate comes.
        using var stream = new SslStream(client.GetStream(), false, (_, _, _, _) => true);
#pragma warning restore CA5359
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost" }, Token);
        return stream.RemoteCertificate!.Subject;
    }

    private static async Task<int> GenerateAsync(WireServer server, SocketsHttpHandler handler)
    {
        using GrpcChannel channel = GrpcChannel.ForAddress(
            Secure(server.GrpcAddress, "/"), new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = false });
        GenerationResult result = await new Inference.InferenceClient(channel).GenerateUnaryAsync(Prompt(), cancellationToken: Token);
        return result.Output.TokenIds.Count;
    }

    private static Uri Secure(Uri address, string path) => new UriBuilder(address) { Scheme = "https", Path = path }.Uri;

    private static SocketsHttpHandler Trusting(TestAuthority authority, X509Certificate2? client = null)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.Add(authority.Certificate);
        return new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                CertificateChainPolicy = policy,
                EnabledSslProtocols = SslProtocols.None,
                ClientCertificates = client is null ? [] : [client],
            },
        };
    }
}
