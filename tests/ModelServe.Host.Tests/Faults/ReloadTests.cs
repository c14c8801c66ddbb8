using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Net.Client;
using ModelServe.Api.Tests.Security;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Faults;

/// <summary>Keys and certificates of the real process: in force from the start, replaced at SIGHUP, kept where the new ones are no good.</summary>
public sealed class ReloadTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Keys_change_at_a_hangup_and_a_bad_file_changes_nothing()
    {
        using KeyFile keys = new(KeyFile.Line("first", "the-first-key"));
        using ModelServeProcess server = StopTests.Start("--api-keys", keys.Path, "--reload-interval", "0");
        (_, string http) = await StopTests.ReadyAsync(server);
        using HttpClient client = new();
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(client, http, null));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http, "the-first-key"));
        keys.Write(KeyFile.Line("second", "the-second-key"), KeyFile.Line("third", "the-third-key"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http, "the-first-key"));
        server.HangUp();
        await server.WaitForErrorTextAsync("2 API keys are in force", Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(client, http, "the-first-key"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http, "the-second-key"));
        keys.Write("{ no key");
        server.HangUp();
        await server.WaitForErrorTextAsync("what was in force stays so", Cancellation);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(client, http, "the-second-key"));
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task One_port_speaks_both_protocols_over_tls_and_gets_a_new_certificate_at_a_hangup()
    {
        using TestAuthority authority = new TestAuthority().WithServer("before");
        using ModelServeProcess server = ModelServeProcess.Start(
            "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--reload-interval", "0",
            "--tls-cert", authority.Files.CertificateFile, "--tls-key", authority.Files.KeyFile);
        string ready = await server.WaitForErrorTextAsync("ready: ", Cancellation);
        Uri address = new(ready[ready.IndexOf("https://", StringComparison.Ordinal)..].Split([',', ' ', '\n'])[0]);
        List<string> seen = [];
        Assert.Equal("85", await AnswerAsync(address, authority, seen));
        using (HttpClient http = new(Trusting(authority, seen)))
        {
            Assert.Equal(HttpStatusCode.OK, await StatusAsync(http, address.ToString().TrimEnd('/'), null));
        }

        Assert.Equal(["CN=before", "CN=before"], seen);
        authority.WithServer("after");
        server.HangUp();
        await server.WaitForErrorTextAsync("New TLS handshakes", Cancellation);
        Assert.Equal("85", await AnswerAsync(address, authority, seen));
        Assert.Equal("CN=after", seen[^1]);
        server.Terminate();
        Assert.Equal(0, await server.WaitAsync(Cancellation));
    }

    private static async Task<string> AnswerAsync(Uri address, TestAuthority authority, List<string> seen)
    {
        using GrpcChannel channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { HttpHandler = Trusting(authority, seen), DisposeHttpClient = true });
        GenerationResult result = await new Inference.InferenceClient(channel).ChatUnaryAsync(StopTests.Question(), new CallOptions(cancellationToken: Cancellation));
        return result.Output.Text;
    }

    /// <summary>Trusts what the authority issued, whatever its name; notes the subject of each handshake.</summary>
    private static SocketsHttpHandler Trusting(TestAuthority authority, List<string> seen) => new()
    {
        SslOptions =
        {
            RemoteCertificateValidationCallback = (_, certificate, _, _) =>
            {
                seen.Add(certificate!.Subject);
                using X509Chain chain = new();
                chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
                chain.ChainPolicy.CustomTrustStore.Add(authority.Certificate);
                chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
                return chain.Build((X509Certificate2)certificate);
            },
        },
    };

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, string address, string? key)
    {
        using HttpRequestMessage request = new(HttpMethod.Get, address + "/v1/models");
        request.Headers.Authorization = key is null ? null : new AuthenticationHeaderValue("Bearer", key);
        using HttpResponseMessage response = await client.SendAsync(request, Cancellation);
        return response.StatusCode;
    }
}
