using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.OpenAi;

/// <summary>What the outputs of one prompt show of it. Shared by them; known once the first of them was told.</summary>
/// <remarks>The prompt is scored for its first output alone. One thread writes, before <see cref="Known"/> completes; any reads afterwards.</remarks>
internal sealed class PromptPart(ReadRequest read, string? echo, OutputShape shape)
{
    private readonly TaskCompletionSource _known = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The request of the first output.</summary>
    public ReadRequest Read => read;

    /// <summary>What each output's text begins with; null for nothing.</summary>
    public string? Echo => echo;

    /// <summary>Whether log probabilities of the prompt stand before those of each output's tokens.</summary>
    public bool EchoesLogprobs => echo is not null && read.Request.Sampling.TopLogprobs is not null;

    /// <summary>Alternatives in the list of the prompt's log probabilities; null where no list is wanted.</summary>
    public int? Listed => shape.PromptLogprobs;

    /// <summary>Whether outputs after the first wait for what it is told.</summary>
    public bool IsAwaited => read.Request.Sampling.PromptLogprobs is not null;

    /// <summary>Completes when <see cref="Logprobs"/> will not change any more.</summary>
    public Task Known => _known.Task;

    /// <summary>What the model makes of the prompt; null while it is unknown, and for good where the first output ended before.</summary>
    public PromptLogprobs? Logprobs { get; private set; }

    /// <summary>Takes what the first output was told, or that it ended.</summary>
    public void Tell(PromptLogprobs? logprobs)
    {
        Logprobs ??= logprobs;
        _known.TrySetResult();
    }
}
