using System.Globalization;
using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Checks of one request that need no engine state: what can never run is refused before it costs anything.</summary>
/// <remarks>Pure; any thread.</remarks>
internal sealed class AdmissionGate
{
    private readonly ExecutorGeometry _geometry;
    private readonly TimeProvider _time;

    /// <summary>Makes the gate of one executor.</summary>
    public AdmissionGate(ExecutorGeometry geometry, TimeProvider time)
    {
        _geometry = geometry;
        _time = time;
    }

    /// <summary>Why the request can never run, or null.</summary>
    public Rejection? Check(GenerationRequest request)
    {
        var prompt = request.PromptTokenIds.Span;
        if (prompt.IsEmpty)
        {
            return new Rejection(RejectionReason.EmptyPrompt, "prompt_token_ids", "at least 1 token", "0");
        }

        if (request.MaxTokens < 0)
        {
            return new Rejection(RejectionReason.InvalidField, "max_tokens", "at least 0", Text(request.MaxTokens));
        }

        if (request.Sampling.TopLogprobs is { } top && (top < 0 || top > _geometry.MaxTopLogprobs))
        {
            return new Rejection(
                RejectionReason.InvalidField, "top_logprobs", $"0..{Text(_geometry.MaxTopLogprobs)}", Text(top));
        }

        if (request.Sampling.PromptLogprobs is { } wanted && (wanted < 0 || wanted > _geometry.MaxTopLogprobs))
        {
            return new Rejection(
                RejectionReason.InvalidField, "prompt_logprobs", $"0..{Text(_geometry.MaxTopLogprobs)}", Text(wanted));
        }

        if (prompt.Length >= _geometry.MaxModelLength)
        {
            return new Rejection(
                RejectionReason.PromptTooLong,
                "prompt_token_ids",
                $"at most {Text(_geometry.MaxModelLength - 1)} tokens in a context of {Text(_geometry.MaxModelLength)}",
                $"{Text(prompt.Length)} tokens");
        }

        return CheckTokenIds(prompt) ?? CheckCache(request) ?? CheckDeadline(request);
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    private Rejection? CheckTokenIds(ReadOnlySpan<int> prompt)
    {
        for (var i = 0; i < prompt.Length; i++)
        {
            if ((uint)prompt[i] >= (uint)_geometry.VocabularySize)
            {
                return new Rejection(
                    RejectionReason.InvalidField,
                    $"prompt_token_ids[{Text(i)}]",
                    $"0..{Text(_geometry.VocabularySize - 1)}",
                    Text(prompt[i]));
            }
        }

        return null;
    }

    private Rejection? CheckCache(GenerationRequest request)
    {
        // The last token of a sequence is never fed, so it needs no place.
        var positions = Math.Min((long)request.PromptTokenIds.Length + Math.Max(1, request.MaxTokens), _geometry.MaxModelLength) - 1;
        var capacity = (long)(_geometry.BlockCount - 1) * _geometry.BlockTokens;
        return positions <= capacity
            ? null
            : new Rejection(
                RejectionReason.ExceedsCache,
                "prompt_token_ids + max_tokens",
                $"at most {Text(capacity)} positions in the key-value cache",
                $"{Text(positions)} positions");
    }

    private Rejection? CheckDeadline(GenerationRequest request) =>
        request.Deadline is { } deadline && deadline <= _time.GetUtcNow()
            ? new Rejection(
                RejectionReason.DeadlinePassed, "deadline", "a moment to come", deadline.ToString("O", CultureInfo.InvariantCulture))
            : null;
}
