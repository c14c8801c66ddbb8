using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using ModelServe.Api.Tests.Wire;
using ModelServe.Engine.Running;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Security;

/// <summary>What keys may use, by a clock that the test sets, and what of a busy server each of them gets.</summary>
public sealed class KeyRateTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task The_rate_headers_go_down_with_what_is_used_and_up_with_the_clock()
    {
        // A prompt of 3 ids and 4 outputs make 7 tokens.
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"requests_per_minute\":10,\"tokens_per_minute\":600"));
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using WireServer server = await WireServer.StartAsync(
            Checkpoint, keys.Options(), services => services.AddSingleton<TimeProvider>(time), new FakeModel());
        Assert.Equal((9, "6000ms", 593), await RatesAsync(server));
        await server.QuiesceAsync();
        Assert.Equal((8, "12000ms", 586), await RatesAsync(server));
        await server.QuiesceAsync();
        // Six seconds bring one request of ten in a minute, and sixty tokens of six hundred.
        time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal((8, "12000ms", 593), await RatesAsync(server));
        await server.QuiesceAsync();
        time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal((7, "15000ms", 593), await RatesAsync(server));
        await server.QuiesceAsync();
        time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal((9, "6000ms", 593), await RatesAsync(server));
    }

    [Fact]
    public async Task Who_has_used_up_its_rate_is_told_when_to_come_back_and_is_served_then()
    {
        using var keys = new KeyFile(KeyFile.Line("user", KeyFile.User, "\"requests_per_minute\":2"));
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using WireServer server = await WireServer.StartAsync(
            Checkpoint, keys.Options(), services => services.AddSingleton<TimeProvider>(time), new FakeModel());
        for (int i = 0; i < 2; i++)
        {
            using HttpResponseMessage served = await CompleteAsync(server);
            Assert.Equal(HttpStatusCode.OK, served.StatusCode);
        }

        using HttpResponseMessage refused = await CompleteAsync(server);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal("0", refused.Headers.GetValues("x-ratelimit-remaining-requests").Single());
        Assert.Equal(TimeSpan.FromSeconds(30), refused.Headers.RetryAfter!.Delta);
        time.Advance(TimeSpan.FromSeconds(30) - TimeSpan.FromMilliseconds(1));
        using HttpResponseMessage early = await CompleteAsync(server);
        Assert.Equal(HttpStatusCode.TooManyRequests, early.StatusCode);
        time.Advance(TimeSpan.FromMilliseconds(1));
        using HttpResponseMessage again = await CompleteAsync(server);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
    }

    [Fact]
    public async Task Three_keys_that_flood_one_slot_are_served_by_their_weights()
    {
        const int EachWaits = 60;
        (string Key, int Weight)[] tenants = [("light", 1), ("middle", 2), ("heavy", 4)];
        using var keys = new KeyFile([.. tenants.Select(one => KeyFile.Line(one.Key, one.Key, string.Create(CultureInfo.InvariantCulture, $"\"weight\":{one.Weight}")))]);
        using var fake = new FakeModel(slots: 1, options: new EngineOptions { MaxQueuedRequests = 4 * EachWaits });
        await using WireServer server = await StartAsync(keys.Options(), fake);
        fake.Hold();
        // Told on the engine's thread, in the order in which they are served.
        var order = new List<char>();
        fake.Beginning = order.Add;
        // One that holds the slot while the others queue up, as on a server that was busy before.
        Task first = OneAsync("light", 0);
        await WireServer.EventuallyAsync(() => server.Status.Running == 1, "one runs");
        // The lightest comes first and floods most.
        Task[] all = [first, .. tenants.SelectMany(one => Enumerable.Range(1, EachWaits).Select(i => OneAsync(one.Key, i)))];
        await WireServer.EventuallyAsync(() => server.Status.Waiting == 3 * EachWaits, "all wait");
        fake.Release();
        await Task.WhenAll(all);

        // Until the heaviest has nothing left to ask for, each gets its share.
        char[] contended = [.. order.Skip(1).Take(EachWaits * 7 / 4)];
        foreach ((string key, int weight) in tenants)
        {
            double share = contended.Count(letter => letter == key[0]) / (double)contended.Length;
            Assert.InRange(share, (weight / 7.0) - 0.03, (weight / 7.0) + 0.03);
            TestContext.Current.TestOutputHelper?.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{key}: {share:P1} of the served, its weight is {weight / 7.0:P1}"));
        }

        Assert.Equal(1 + (3 * EachWaits), order.Count);

        async Task OneAsync(string key, int number)
        {
            GenerateRequest request = Prompt(4, text: string.Create(CultureInfo.InvariantCulture, $"{key[0]}{number:000}"));
            using AsyncServerStreamingCall<GenerationEvent> call = server.Inference.Generate(
                request, new Metadata { { "authorization", "Bearer " + key } }, cancellationToken: Token);
            bool begun = false;
            await foreach (GenerationEvent message in call.ResponseStream.ReadAllAsync(Token))
            {
                if (message.Finished is { } finished)
                {
                    begun = true;
                    Assert.Equal(FinishReason.Length, finished.Reason);
                }
            }

            Assert.True(begun);
        }
    }

    private static async Task<(int Requests, string Reset, int Tokens)> RatesAsync(WireServer server)
    {
        using HttpResponseMessage answer = await CompleteAsync(server);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        string Header(string name) => answer.Headers.GetValues("x-ratelimit-" + name).Single();
        return (
            int.Parse(Header("remaining-requests"), CultureInfo.InvariantCulture),
            Header("reset-requests"),
            int.Parse(Header("remaining-tokens"), CultureInfo.InvariantCulture));
    }

    private static async Task<HttpResponseMessage> CompleteAsync(WireServer server)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", KeyFile.User);
        request.Content = new StringContent("""{"model":"fake","prompt":[97,98,99],"max_tokens":4}""", Encoding.UTF8, "application/json");
        return await server.Http.SendAsync(request, Token);
    }
}
