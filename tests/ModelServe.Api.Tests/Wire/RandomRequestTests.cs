using Grpc.Core;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

/// <summary>Requests with random values in every field: refused or served, never a fault of the server.</summary>
public sealed class RandomRequestTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    private static readonly StatusCode[] Faults = [StatusCode.Internal, StatusCode.Unknown, StatusCode.DataLoss, StatusCode.Unavailable];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_fields_never_make_the_server_fail(int seed)
    {
        await using WireServer server = await StartAsync();
        var random = new Random(seed);
        int served = 0;
        for (int i = 0; i < 150; i++)
        {
            try
            {
                bool chat = random.Next(3) == 0;
                List<GenerationEvent> events = chat
                    ? await ReadAsync(server.Client.ChatAsync(RandomChat(random), cancellationToken: Token))
                    : await ReadAsync(server.Client.GenerateAsync(RandomPrompt(random), cancellationToken: Token));
                Assert.Equal(GenerationEvent.EventOneofCase.Finished, events[^1].EventCase);
                Assert.Equal(events[^1].Finished.Usage.CompletionTokens, IdsOf(events).Length);
                served++;
            }
            catch (RpcException exception)
            {
                Assert.DoesNotContain(exception.StatusCode, Faults);
            }
        }

        Assert.InRange(served, 5, 145);
        await server.QuiesceAsync();
    }

    private static GenerateRequest RandomPrompt(Random random)
    {
        var request = new GenerateRequest { Options = RandomOptions(random) };
        switch (random.Next(8))
        {
            case 0:
                break;
            case 1:
                request.TokenIds = new TokenIds();
                request.TokenIds.Ids.Add(Enumerable.Range(0, random.Next(20)).Select(_ => (uint)RandomInteger(random)));
                break;
            case 2:
                request.TokenIds = new TokenIds();
                request.TokenIds.Ids.Add(Enumerable.Range(0, random.Next(20)).Select(_ => (uint)random.Next(260)));
                break;
            default:
                request.Text = RandomText(random);
                break;
        }

        return request;
    }

    private static ChatRequest RandomChat(Random random)
    {
        var request = new ChatRequest { Options = RandomOptions(random) };
        string[] roles = ["user", "assistant", "system", "tool", "x", ""];
        for (int i = random.Next(5); i > 0; i--)
        {
            var message = new ChatMessage { Role = roles[random.Next(20) / 4] };
            if (random.Next(8) != 0)
            {
                message.Content = RandomText(random);
            }

            if (random.Next(8) == 0)
            {
                message.ToolCalls.Add(new ToolCall { Id = RandomText(random), Name = RandomText(random) });
            }

            request.Messages.Add(message);
        }

        return request;
    }

    private static GenerationOptions RandomOptions(Random random)
    {
        var options = new GenerationOptions { Sampling = new SamplingParameters(), Stop = new StopConditions { MaxTokens = 1 + random.Next(20) } };
        Maybe(random, () => options.Sampling.Temperature = RandomNumber(random));
        Maybe(random, () => options.Sampling.TopK = RandomInteger(random));
        Maybe(random, () => options.Sampling.TopP = RandomNumber(random));
        Maybe(random, () => options.Sampling.MinP = RandomNumber(random));
        Maybe(random, () => options.Sampling.Seed = (ulong)random.NextInt64());
        Maybe(random, () => options.Sampling.RepetitionPenalty = RandomNumber(random));
        Maybe(random, () => options.Sampling.PresencePenalty = RandomNumber(random));
        Maybe(random, () => options.Sampling.FrequencyPenalty = RandomNumber(random));
        Maybe(random, () => options.Sampling.LogitBias[(uint)RandomInteger(random)] = RandomNumber(random));
        Maybe(random, () => options.Sampling.Logprobs = random.Next(2) == 0);
        Maybe(random, () => options.Sampling.TopLogprobs = RandomInteger(random));
        Maybe(random, () => options.Stop.MaxTokens = RandomInteger(random));
        Maybe(random, () => options.Stop.MinTokens = RandomInteger(random));
        Maybe(random, () => options.Stop.Strings.Add(RandomText(random)));
        Maybe(random, () => options.Stop.TokenIds.Add((uint)RandomInteger(random)));
        Maybe(random, () => options.Stop.IgnoreEos = random.Next(2) == 0);
        Maybe(random, () => options.Stop.IncludeStopInOutput = random.Next(2) == 0);
        Maybe(random, () => options.SkipSpecialTokens = random.Next(2) == 0);
        Maybe(random, () => options.Priority = RandomInteger(random));
        Maybe(random, () => options.CacheSalt = RandomText(random));
        Maybe(random, () => options.BypassPrefixCache = random.Next(2) == 0);
        Maybe(random, () => options.RequestId = RandomText(random));
        return options;
    }

    private static void Maybe(Random random, Action set)
    {
        if (random.Next(10) == 0)
        {
            set();
        }
    }

    private static float RandomNumber(Random random) => random.Next(9) switch
    {
        0 => float.NaN,
        1 => float.PositiveInfinity,
        2 => float.NegativeInfinity,
        3 => float.Epsilon,
        4 => -0f,
        5 => float.MaxValue,
        _ => (random.NextSingle() * 3) - 1,
    };

    private static int RandomInteger(Random random) => random.Next(6) switch
    {
        0 => int.MinValue,
        1 => int.MaxValue,
        2 => -1,
        3 => 0,
        _ => random.Next(300),
    };

    private static string RandomText(Random random)
    {
        string[] pieces = ["a", "\0", "é", "世", "🙂", "<|im_end|>", "\n", " ", "\ufffd", "{{ 1/0 }}", "\ufdd0", "zz"];
        return string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => pieces[random.Next(pieces.Length)]));
    }
}
