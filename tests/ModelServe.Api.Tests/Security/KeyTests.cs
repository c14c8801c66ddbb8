using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Google.Rpc;
using Grpc.Core;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Security;

/// <summary>Keys over the wire: what is said without one, what a key may use, and what changes when the file does.</summary>
public sealed class KeyTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_grpc_client_without_a_key_is_unauthenticated_and_with_one_is_served()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        Assert.Equal(StatusCode.Unauthenticated, (await RefusedAsync(server, null)).StatusCode);
        Assert.Equal(StatusCode.Unauthenticated, (await RefusedAsync(server, "wrong")).StatusCode);
        RpcException expired = await RefusedAsync(server, KeyFile.Expired);
        Assert.Equal((StatusCode.Unauthenticated, "The key has expired."), (expired.StatusCode, expired.Status.Detail));
        Assert.Equal(16, (await GenerateAsync(server, KeyFile.User)).Output.TokenIds.Count);
    }

    [Fact]
    public async Task An_http_client_without_a_key_gets_the_error_body_and_the_challenge()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        using HttpResponseMessage answer = await server.Http.GetAsync(new Uri("/v1/models", UriKind.Relative), Token);
        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.Single().Scheme);
        using JsonDocument body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Token));
        Assert.Equal("invalid_api_key", body.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task The_refusal_comes_before_the_body_does()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        using var client = new TcpClient();
        await client.ConnectAsync(server.HttpAddress.Host, server.HttpAddress.Port, Token);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"u8.ToArray(), Token);
        byte[] answer = new byte[4096];
        int length = await stream.ReadAsync(answer, Token);
        Assert.StartsWith("HTTP/1.1 401", Encoding.ASCII.GetString(answer, 0, length), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_new_file_is_in_force_without_a_restart_and_a_bad_one_is_not()
    {
        using var keys = new KeyFile();
        await using WireServer server = await StartAsync(keys.Options());
        server.Fake.Hold();
        Task<GenerationResult> running = GenerateAsync(server, KeyFile.User);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        keys.Write("{ not a key");
        keys.Write(KeyFile.Line("fresh", "a-fresh-key"));
        await WireServer.EventuallyAsync(async () => await ModelsAsync(server, KeyFile.User) == HttpStatusCode.Unauthorized, "the old key is refused");
        server.Fake.Release();
        Assert.Equal(16, (await running).Output.TokenIds.Count);
        Assert.Equal(16, (await GenerateAsync(server, "a-fresh-key")).Output.TokenIds.Count);
        keys.Write(KeyFile.Line("fresh", "a-fresh-key"), "{\"id\":\"x\"}");
        await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Token);
        Assert.Equal(16, (await GenerateAsync(server, "a-fresh-key")).Output.TokenIds.Count);
    }

    [Theory]
    [InlineData("{", "line 1")]
    [InlineData("""{"id":"a"}""", "sha256")]
    [InlineData("""{"id":"a","sha256":"12"}""", "sha256")]
    [InlineData("""{"id":"a b","sha256":"0000000000000000000000000000000000000000000000000000000000000000"}""", "id")]
    [InlineData("""{"id":"a","sha256":"0000000000000000000000000000000000000000000000000000000000000000","weigth":1}""", "weigth")]
    [InlineData("""{"id":"a","sha256":"0000000000000000000000000000000000000000000000000000000000000000","weight":0}""", "weight")]
    [InlineData("""{"id":"a","sha256":"0000000000000000000000000000000000000000000000000000000000000000","tier":"best"}""", "tier")]
    public async Task A_file_that_is_wrong_at_start_ends_the_start_and_names_the_place(string line, string place)
    {
        using var keys = new KeyFile(line);
        InvalidDataException error = await Assert.ThrowsAsync<InvalidDataException>(() => StartAsync(keys.Options()));
        Assert.Contains(place, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_others_can_read_is_refused()
    {
        using var keys = new KeyFile();
        File.SetUnixFileMode(keys.Path, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        InvalidDataException error = await Assert.ThrowsAsync<InvalidDataException>(() => StartAsync(keys.Options()));
        Assert.Contains("chmod 640", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_many_at_once_exactly_as_many_are_live_as_the_key_may_have()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"max_concurrent\":5"), KeyFile.Line("other", KeyFile.Other));
        await using WireServer server = await StartAsync(keys.Options());
        server.Fake.Hold();
        Task<RpcException?>[] calls = [.. Enumerable.Range(0, 64).Select(_ => RefusedOrNullAsync(server, KeyFile.User))];
        await WireServer.EventuallyAsync(() => calls.Count(call => call.IsCompleted) == 59, "59 are refused");
        Task<GenerationResult> neighbour = GenerateAsync(server, KeyFile.Other);
        server.Fake.Release();
        await neighbour;
        RpcException?[] ends = await Task.WhenAll(calls);
        Assert.Equal(5, ends.Count(end => end is null));
        Assert.All(ends.OfType<RpcException>(), end => Assert.Equal("KEY_CONCURRENCY", end.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason));
        await server.QuiesceAsync();
        Assert.Null(await RefusedOrNullAsync(server, KeyFile.User));
    }

    [Fact]
    public async Task Of_many_at_once_exactly_as_many_begin_as_the_minute_allows()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"requests_per_minute\":1"));
        await using WireServer server = await StartAsync(keys.Options());
        RpcException?[] ends = await Task.WhenAll(Enumerable.Range(0, 64).Select(_ => RefusedOrNullAsync(server, KeyFile.User)));
        Assert.Equal(1, ends.Count(end => end is null));
        RpcException refused = ends.OfType<RpcException>().First();
        Assert.Equal("KEY_REQUEST_RATE", refused.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
        Assert.InRange(refused.GetRpcStatus()!.GetDetail<RetryInfo>()!.RetryDelay.Seconds, 30, 60);
    }

    [Fact]
    public async Task Tokens_are_taken_at_admission_and_what_was_not_used_comes_back()
    {
        // A prompt of 7 and 16 outputs at most make 23.
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"tokens_per_minute\":40"));
        await using WireServer server = await StartAsync(keys.Options());
        server.Fake.Writes("ab");
        Assert.Null(await RefusedOrNullAsync(server, KeyFile.User));
        await server.QuiesceAsync();
        Assert.Null(await RefusedOrNullAsync(server, KeyFile.User));
        await server.QuiesceAsync();
        RpcException? refused = await RefusedOrNullAsync(server, KeyFile.User);
        Assert.Equal("KEY_TOKEN_RATE", refused!.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
        Assert.Equal(StatusCode.ResourceExhausted, refused!.StatusCode);
    }

    [Fact]
    public async Task An_http_answer_tells_what_is_left_of_the_rates()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"requests_per_minute\":10,\"tokens_per_minute\":1000"));
        await using WireServer server = await StartAsync(keys.Options());
        using HttpResponseMessage answer = await CompleteAsync(server, 1);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("10", answer.Headers.GetValues("x-ratelimit-limit-requests").Single());
        Assert.Equal("9", answer.Headers.GetValues("x-ratelimit-remaining-requests").Single());
        Assert.Equal("1000", answer.Headers.GetValues("x-ratelimit-limit-tokens").Single());
    }

    [Fact]
    public async Task Several_outputs_are_admitted_as_one_or_not_at_all()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"max_concurrent\":3"));
        await using WireServer server = await StartAsync(keys.Options());
        using HttpResponseMessage four = await CompleteAsync(server, 4);
        Assert.Equal(HttpStatusCode.TooManyRequests, four.StatusCode);
        Assert.Equal(0, server.Drain.LiveRequestCount);
        using HttpResponseMessage three = await CompleteAsync(server, 3);
        Assert.Equal(HttpStatusCode.OK, three.StatusCode);
    }

    [Fact]
    public async Task Another_key_gets_no_cached_prefix_and_a_group_shares_them()
    {
        using var keys = new KeyFile(
            KeyFile.Line("a", "key-a"), KeyFile.Line("b", "key-b"),
            KeyFile.Line("c", "key-c", "\"cache_group\":\"team\""), KeyFile.Line("d", "key-d", "\"cache_group\":\"team\""));
        await using WireServer server = await StartAsync(keys.Options());
        Assert.Equal(0, await CachedAsync(server, "key-a"));
        Assert.Equal(96, await CachedAsync(server, "key-a"));
        Assert.Equal(0, await CachedAsync(server, "key-b"));
        Assert.Equal(0, await CachedAsync(server, "key-c"));
        Assert.Equal(96, await CachedAsync(server, "key-d"));
        Assert.Equal(0, await CachedAsync(server, "key-a", "salt"));
        Assert.Equal(96, await CachedAsync(server, "key-a", "salt"));
    }

    [Fact]
    public async Task A_tier_above_the_keys_is_denied_and_the_keys_own_is_given()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User), KeyFile.Line("paid", "paid", "\"tier\":\"priority\""), KeyFile.Line("cheap", "cheap", "\"tier\":\"flex\""));
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 2 });
        await using WireServer server = await StartAsync(keys.Options(), fake);
        GenerateRequest wanted = Prompt(4, options => options.Tier = Tier.Priority);
        RpcException denied = await Assert.ThrowsAsync<RpcException>(
            async () => await server.Inference.GenerateUnaryAsync(wanted, Headers(KeyFile.User), cancellationToken: Token));
        Assert.Equal(StatusCode.PermissionDenied, denied.StatusCode);
        Assert.Equal(4, (await server.Inference.GenerateUnaryAsync(wanted, Headers("paid"), cancellationToken: Token)).Output.TokenIds.Count);
        fake.Hold();
        Task<GenerationResult> running = GenerateAsync(server, KeyFile.User);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        Task<GenerationResult> waiting = GenerateAsync(server, KeyFile.User);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 1, "one waits");
        Assert.Equal("QUEUE_FULL", (await RefusedAsync(server, "cheap")).GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
        Task<GenerationResult> next = GenerateAsync(server, KeyFile.User);
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 2, "two wait");
        fake.Release();
        await Task.WhenAll(running, waiting, next);
    }

    private static async Task<int> CachedAsync(WireServer server, string key, string? salt = null)
    {
        GenerateRequest request = Prompt(2, options => { if (salt is not null) { options.CacheSalt = salt; } }, new string('p', 99));
        return (await server.Inference.GenerateUnaryAsync(request, Headers(key), cancellationToken: Token)).Finished.Usage.CachedPromptTokens;
    }

    private static async Task<HttpResponseMessage> CompleteAsync(WireServer server, int outputs)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", KeyFile.User);
        request.Content = new StringContent($$"""{"model":"fake","prompt":"abc","max_tokens":4,"n":{{outputs}}}""", Encoding.UTF8, "application/json");
        return await server.Http.SendAsync(request, Token);
    }

    private static Metadata Headers(string? key) => key is null ? [] : new Metadata { { "authorization", "Bearer " + key } };

    private static async Task<GenerationResult> GenerateAsync(WireServer server, string? key) =>
        await server.Inference.GenerateUnaryAsync(Prompt(), Headers(key), cancellationToken: Token);

    private static Task<RpcException> RefusedAsync(WireServer server, string? key) =>
        Assert.ThrowsAsync<RpcException>(() => GenerateAsync(server, key));

    private static async Task<RpcException?> RefusedOrNullAsync(WireServer server, string? key)
    {
        try
        {
            await GenerateAsync(server, key);
            return null;
        }
        catch (RpcException refused)
        {
            return refused;
        }
    }

    private static async Task<HttpStatusCode> ModelsAsync(WireServer server, string key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/v1/models", UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using HttpResponseMessage answer = await server.Http.SendAsync(request, Token);
        return answer.StatusCode;
    }
}
