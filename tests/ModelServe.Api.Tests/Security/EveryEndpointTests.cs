using System.Net;
using System.Net.Http.Headers;
using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Tests.Wire;
using Xunit;

namespace ModelServe.Api.Tests.Security;

/// <summary>Every endpoint that the server has, found by enumeration, asked without a key and with keys that do not do.</summary>
public sealed class EveryEndpointTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private static readonly string[] OpenToAll =
    [
        "/health", "/health/live", "/health/ready", "/health/ready/{model}", "/health/progress",
        "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/List",
        "grpc.health.v1.Health/{unimplementedMethod:grpcunimplemented}",
        "/", "/status/page.css", "/status/page.js", "/status/series.js", "/status/chat.js", "/status/mark.svg",
    ];

    [Theory]
    [InlineData(null)]
    [InlineData("a-key-that-nobody-has")]
    [InlineData(KeyFile.Expired)]
    [InlineData("")]
    public async Task No_endpoint_but_health_and_the_empty_status_page_answers_without_a_valid_key(string? key)
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        int asked = 0;
        foreach (RouteEndpoint endpoint in Endpoints(server))
        {
            if (OpenToAll.Contains(endpoint.RoutePattern.RawText))
            {
                continue;
            }

            (HttpStatusCode status, string? grpcStatus) = await AskAsync(server, endpoint, key);
            bool refused = IsGrpc(endpoint) ? grpcStatus == "16" : status == HttpStatusCode.Unauthorized;
            Assert.True(refused, $"{endpoint.RoutePattern.RawText} answered {status}, grpc-status {grpcStatus}");
            asked++;
        }

        Assert.InRange(asked, 40, 1000);
        Tally.Report("keys", $"endpoints asked {(key is null ? "without a key" : key.Length == 0 ? "with an empty key" : key == KeyFile.Expired ? "with an expired key" : "with a wrong key")}", asked, 0, asked);
    }

    [Fact]
    public async Task What_is_open_to_all_is_the_list_and_nothing_else()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        string[] open = [.. Endpoints(server).Where(endpoint => endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            .Select(endpoint => endpoint.RoutePattern.RawText!).Distinct().Except(OpenToAll)];
        Assert.Empty(open);
    }

    [Fact]
    public async Task An_operators_methods_refuse_an_ordinary_key_and_no_other_does()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        List<string> refused = [];
        foreach (RouteEndpoint endpoint in Endpoints(server).Where(IsGrpc))
        {
            // What streams for ever without an admin right is asked by its own tests.
            if (endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is { } method && method.Method.Name is not ("Watch" or "ServerReflectionInfo"))
            {
                (_, string? grpcStatus) = await AskAsync(server, endpoint, KeyFile.User);
                if (grpcStatus == "7")
                {
                    refused.Add(method.Method.FullName);
                }
            }
        }

        string[] admin = ["/modelserve.v1.Control/Drain", "/modelserve.v1.Control/Pause", "/modelserve.v1.Control/Resume", "/modelserve.v1.Control/FlushPrefixCache", "/modelserve.v1.Models/Load", "/modelserve.v1.Models/Unload"];
        Assert.Empty(admin.Except(refused));
        Assert.DoesNotContain(refused, name => name.StartsWith("/modelserve.v1.Inference/", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("/nowhere")]
    [InlineData("/v1/../metrics")]
    [InlineData("//metrics")]
    [InlineData("/METRICS")]
    public async Task A_path_that_is_spelled_otherwise_gets_no_further(string path)
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        using HttpResponseMessage answer = await server.Http.GetAsync(new Uri(server.HttpAddress.AbsoluteUri.TrimEnd('/') + path), Token);
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    private static IEnumerable<RouteEndpoint> Endpoints(WireServer server) =>
        server.Services.GetServices<EndpointDataSource>().SelectMany(source => source.Endpoints).OfType<RouteEndpoint>();

    private static bool IsGrpc(RouteEndpoint endpoint) =>
        endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is not null
        || endpoint.RoutePattern.RawText!.Contains("unimplemented", StringComparison.Ordinal);

    private static async Task<(HttpStatusCode Status, string? GrpcStatus)> AskAsync(WireServer server, RouteEndpoint endpoint, string? key)
    {
        string path = endpoint.RoutePattern.RawText!;
        foreach (string place in new[] { "{unimplementedService}/{unimplementedMethod:grpcunimplemented}", "{unimplementedMethod:grpcunimplemented}" })
        {
            path = path.Replace(place, place.StartsWith("{unimplementedService", StringComparison.Ordinal) ? "no.Such/Method" : "NoMethod", StringComparison.Ordinal);
        }

        path = path.Replace("{*path:nonfile}", "nowhere", StringComparison.Ordinal).Replace("{model}", "fake", StringComparison.Ordinal);
        bool grpc = IsGrpc(endpoint);
        string? verb = endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods[0];
        using var request = new HttpRequestMessage(
            grpc ? HttpMethod.Post : new HttpMethod(verb ?? "GET"), new Uri(grpc ? server.GrpcAddress : server.HttpAddress, path.StartsWith('/') ? path : "/" + path));
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("authorization", "Bearer " + key);
        }

        if (grpc)
        {
            request.Version = HttpVersion.Version20;
            request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
            request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
            request.Content = new ByteArrayContent([0, 0, 0, 0, 0]);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        }

        using HttpResponseMessage answer = await server.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        if (grpc && !answer.Headers.Contains("grpc-status"))
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
            limit.CancelAfter(TimeSpan.FromMilliseconds(500));
            try
            {
                await answer.Content.ReadAsByteArrayAsync(limit.Token);
            }
            catch (OperationCanceledException) when (!Token.IsCancellationRequested)
            {
                return (answer.StatusCode, null);
            }

            return (answer.StatusCode, answer.TrailingHeaders.TryGetValues("grpc-status", out IEnumerable<string>? trailers) ? trailers.First() : null);
        }

        return (answer.StatusCode, answer.Headers.TryGetValues("grpc-status", out IEnumerable<string>? values) ? values.First() : null);
    }
}
