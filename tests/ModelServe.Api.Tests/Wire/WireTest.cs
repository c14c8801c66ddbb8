using Microsoft.Extensions.DependencyInjection;
using ModelServe.V1;
using Xunit;

[assembly: AssemblyFixture(typeof(ModelServe.Api.Tests.Wire.SyntheticCheckpoint))]

namespace ModelServe.Api.Tests.Wire;

/// <summary>What every test of the wire needs: the checkpoint, a server, and short ways to ask it.</summary>
public abstract class WireTest(SyntheticCheckpoint checkpoint)
{
    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected SyntheticCheckpoint Checkpoint { get; } = checkpoint;

    protected Task<WireServer> StartAsync(ApiOptions? options = null, params FakeModel[] models) =>
        WireServer.StartAsync(Checkpoint, options, models);

    /// <summary>Starts a server whose clock the test moves; its models are the caller's to give the same clock.</summary>
    protected Task<WireServer> StartAsync(SteppedClock clock, ApiOptions? options = null, params FakeModel[] models) =>
        WireServer.StartAsync(Checkpoint, options, services => services.AddSingleton<TimeProvider>(clock), models);

    /// <summary>A prompt of token ids that ends with the marker after which scripts begin.</summary>
    protected static GenerateRequest Prompt(int maxTokens = 16, Action<GenerationOptions>? set = null, string text = "prompt")
    {
        var request = new GenerateRequest
        {
            TokenIds = new TokenIds(),
            Options = new GenerationOptions
            {
                Sampling = new SamplingParameters { Temperature = 0 },
                Stop = new StopConditions { MaxTokens = maxTokens },
            },
        };
        request.TokenIds.Ids.Add(text.Select(letter => (uint)letter));
        request.TokenIds.Ids.Add(SyntheticCheckpoint.Begin);
        set?.Invoke(request.Options);
        return request;
    }

    protected static ChatRequest Conversation(params (string Role, string Content)[] turns)
    {
        var request = new ChatRequest
        {
            Options = new GenerationOptions { Stop = new StopConditions { MaxTokens = 64 } },
        };
        request.Messages.Add(turns.Select(turn => new ChatMessage { Role = turn.Role, Content = turn.Content }));
        return request;
    }

    /// <summary>All events of a stream; copies, because a client may keep them.</summary>
    protected static async Task<List<GenerationEvent>> ReadAsync(IAsyncEnumerable<GenerationEvent> events)
    {
        var all = new List<GenerationEvent>();
        await foreach (GenerationEvent message in events)
        {
            all.Add(message);
        }

        return all;
    }

    protected static string TextOf(IEnumerable<GenerationEvent> events) => string.Concat(
        events.Where(message => message.EventCase == GenerationEvent.EventOneofCase.Tokens).Select(message => message.Tokens.Text));

    protected static uint[] IdsOf(IEnumerable<GenerationEvent> events) =>
    [
        .. events.Where(message => message.EventCase == GenerationEvent.EventOneofCase.Tokens)
            .SelectMany(message => message.Tokens.TokenIds),
    ];
}
