using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Tests.Running;

/// <summary>A request, its stream, and what has been read from it.</summary>
internal sealed class Conversation(GenerationRequest request, TokenStream stream)
{
    private ValueTask<bool>? _pending;

    public GenerationRequest Request { get; } = request;

    public TokenStream Stream { get; } = stream;

    public TokenDelta Delta { get; } = new();

    public List<int> Output { get; } = [];

    public List<int> DeltaSizes { get; } = [];

    public FinishReason Finish { get; private set; }

    public string? Error { get; private set; }

    public int? StopToken { get; private set; }

    public int Endings { get; private set; }

    public PromptLogprobs? PromptLogprobs { get; private set; }

    public bool Ended => Endings > 0;

    /// <summary>Takes what is there, without waiting.</summary>
    public void Read()
    {
        while (!Ended)
        {
#pragma warning disable CA2012 // Held until it is complete and consumed once: a test looks without waiting.
            _pending ??= Stream.ReadAsync(Delta, CancellationToken.None);
#pragma warning restore CA2012
            if (!_pending.Value.IsCompleted)
            {
                return;
            }

            Assert.True(_pending.Value.GetAwaiter().GetResult());
            _pending = null;
            Take();
        }
    }

    /// <summary>Waits for everything.</summary>
    public async Task ReadToEndAsync(CancellationToken cancellationToken)
    {
        while (await Stream.ReadAsync(Delta, cancellationToken))
        {
            Take();
        }
    }

    private void Take()
    {
        if (Delta.PromptLogprobs is not null)
        {
            Assert.Null(PromptLogprobs);
            Assert.Empty(Output);
            PromptLogprobs = Delta.PromptLogprobs;
        }

        Output.AddRange(Delta.TokenIds);
        DeltaSizes.Add(Delta.TokenIds.Count);
        if (Delta.FinishReason != FinishReason.None)
        {
            Finish = Delta.FinishReason;
            Error = Delta.Error;
            StopToken = Delta.MatchedStopTokenId;
            Endings++;
        }
    }
}
