using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;

namespace ModelServe.Engine.Tests.Running;

public sealed class AdmissionTests : IDisposable
{
    private readonly EngineScenario _scenario = new(
        options: new EngineOptions { MaxQueuedRequests = 3, MaxQueuedTokens = 20, QueueRetryAfter = TimeSpan.FromSeconds(2) });

    public void Dispose() => _scenario.Dispose();

    [Fact]
    public void An_empty_prompt_is_refused() =>
        Refuses(Request("a", 1) with { PromptTokenIds = Array.Empty<int>() }, RejectionReason.EmptyPrompt, "prompt_token_ids");

    [Theory]
    [InlineData(-1)]
    [InlineData(50)]
    public void A_token_id_outside_the_vocabulary_is_refused_by_place_and_value(int id)
    {
        var rejection = Refuses(Request("a", 1) with { PromptTokenIds = new[] { 1, id } }, RejectionReason.InvalidField, "prompt_token_ids[1]");
        Assert.Equal($"prompt_token_ids[1]: 0..49; got {id}", rejection.Message);
    }

    [Fact]
    public void A_prompt_that_fills_the_context_is_refused_with_both_numbers()
    {
        var rejection = Refuses(Request("a", 64), RejectionReason.PromptTooLong, "prompt_token_ids");
        Assert.Contains("at most 63 tokens in a context of 64", rejection.Message, StringComparison.Ordinal);
        Assert.Contains("64 tokens", rejection.Value, StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_that_can_never_fit_the_cache_is_refused()
    {
        using var small = new EngineScenario(EngineScenario.Small with { BlockCount = 9 });
        Assert.Null(small.Engine.Admit(Request("fits", 20) with { MaxTokens = 13 }).Rejection);
        var rejection = small.Engine.Admit(Request("too long", 20) with { MaxTokens = 14 }).Rejection;
        Assert.Equal(RejectionReason.ExceedsCache, rejection?.Reason);
        Assert.Equal("33 positions", rejection?.Value);
    }

    [Fact]
    public void A_request_without_tokens_to_make_is_refused() =>
        Refuses(Request("a", 1) with { MaxTokens = -1 }, RejectionReason.InvalidField, "max_tokens");

    [Fact]
    public void More_alternatives_than_the_executor_reports_are_refused() =>
        Refuses(
            Request("a", 1) with { Sampling = new SamplingOptions { TopLogprobs = 6 } }, RejectionReason.InvalidField, "top_logprobs");

    [Fact]
    public void A_live_name_cannot_be_used_again_and_an_ended_one_can()
    {
        _scenario.Admit(Request("a", 3));
        Refuses(Request("a", 3), RejectionReason.DuplicateRequest, "request_id");
        _scenario.RunToEnd();
        _scenario.Admit(Request("a", 3));
    }

    [Fact]
    public void A_full_queue_refuses_and_says_when_to_come_back()
    {
        for (var i = 0; i < 3; i++)
        {
            _scenario.Admit(Request($"r{i}", 2));
        }

        var rejection = Refuses(Request("more", 2), RejectionReason.QueueFull, "max_queued_requests");
        Assert.Equal(TimeSpan.FromSeconds(2), rejection.RetryAfter);
        _scenario.Step();
        _scenario.Admit(Request("more", 2));
    }

    [Fact]
    public void A_queue_full_of_tokens_refuses_and_says_when_to_come_back()
    {
        _scenario.Admit(Request("a", 15));
        var rejection = Refuses(Request("b", 6), RejectionReason.QueuedTokensFull, "max_queued_tokens");
        Assert.Equal(TimeSpan.FromSeconds(2), rejection.RetryAfter);
        Assert.Equal("21", rejection.Value);
        _scenario.Admit(Request("c", 5));
    }

    [Fact]
    public void A_deadline_that_has_passed_is_refused() =>
        Refuses(Request("a", 2) with { Deadline = _scenario.Time.GetUtcNow() }, RejectionReason.DeadlinePassed, "deadline");

    [Fact]
    public void A_draining_engine_refuses()
    {
        _scenario.Engine.BeginDrain();
        Refuses(Request("a", 2), RejectionReason.Draining, "server");
    }

    [Fact]
    public void A_refused_request_leaves_no_trace()
    {
        Refuses(Request("a", 64), RejectionReason.PromptTooLong, "prompt_token_ids");
        Assert.Equal((0, 0, 0L), (_scenario.Engine.Status.Running, _scenario.Engine.Status.Waiting, _scenario.Engine.Status.WaitingTokens));
        _scenario.Engine.BeginDrain();
        Assert.True(_scenario.Engine.Drained.IsCompleted);
    }

    [Fact]
    public void Two_threads_at_a_limit_of_one_get_one_place()
    {
        for (var round = 0; round < 50; round++)
        {
            using var scenario = new EngineScenario(options: new EngineOptions { MaxQueuedRequests = 1 });
            var accepted = 0;
            Parallel.For(0, 4, i => Interlocked.Add(ref accepted, scenario.Engine.Admit(Request($"r{i}", 2)).Stream is null ? 0 : 1));
            Assert.Equal(1, accepted);
        }
    }

    [Theory]
    [InlineData(nameof(EngineOptions.MaxQueuedRequests))]
    [InlineData(nameof(EngineOptions.MaxQueuedTokens))]
    [InlineData(nameof(EngineOptions.ChunkTokens))]
    [InlineData(nameof(EngineOptions.MaxPreemptions))]
    public void An_option_out_of_range_is_refused_by_name(string name)
    {
        var options = name switch
        {
            nameof(EngineOptions.MaxQueuedRequests) => new EngineOptions { MaxQueuedRequests = 0 },
            nameof(EngineOptions.MaxQueuedTokens) => new EngineOptions { MaxQueuedTokens = 0 },
            nameof(EngineOptions.ChunkTokens) => new EngineOptions { ChunkTokens = 17 },
            _ => new EngineOptions { MaxPreemptions = 0 },
        };
        var exception = Assert.Throws<ArgumentException>(() => new EngineScenario(options: options));
        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
    }

    private static GenerationRequest Request(string id, int length) => EngineScenario.Request(id, EngineScenario.Prompt(length));

    private Rejection Refuses(GenerationRequest request, RejectionReason reason, string field)
    {
        var result = _scenario.Engine.Admit(request);
        Assert.Null(result.Stream);
        Assert.Equal((reason, field), (result.Rejection?.Reason, result.Rejection?.Field));
        return result.Rejection!;
    }
}
