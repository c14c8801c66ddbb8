using ModelServe.V1;
using Xunit;

namespace ModelServe.Api.Tests.Wire;

public sealed class StopTests(SyntheticCheckpoint checkpoint) : WireTest(checkpoint)
{
    [Fact]
    public async Task A_stop_string_across_token_borders_ends_the_output_before_it()
    {
        GenerationResult result = await AnswerAsync("one two STOP three", options => options.Stop.Strings.Add("STOP"));
        Assert.Equal("one two ", result.Output.Text);
        Assert.Equal(FinishReason.Stop, result.Finished.Reason);
        Assert.Equal("STOP", result.Finished.StopString);
        Assert.Equal("one two STOP".Length, result.Output.TokenIds.Count);
        Assert.Equal("one two STOP".Length, result.Finished.Usage.CompletionTokens);
    }

    [Fact]
    public async Task A_stop_string_is_shown_when_asked_for()
    {
        GenerationResult result = await AnswerAsync("one STOP two", options =>
        {
            options.Stop.Strings.Add("STOP");
            options.Stop.IncludeStopInOutput = true;
        });
        Assert.Equal("one STOP", result.Output.Text);
    }

    [Fact]
    public async Task Text_that_might_have_become_a_stop_string_is_not_lost()
    {
        GenerationResult result = await AnswerAsync("almost STO", options => options.Stop.Strings.Add("STOP"));
        Assert.Equal("almost STO", result.Output.Text);
        Assert.Equal((uint)SyntheticCheckpoint.TurnEnd, result.Finished.StopTokenId);
    }

    [Fact]
    public async Task A_stream_never_shows_a_part_of_a_stop_string()
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes("a ST b STOP c");
        List<GenerationEvent> events = await ReadAsync(server.Client.GenerateAsync(
            Prompt(64, options => options.Stop.Strings.Add("STOP")), cancellationToken: Token));
        Assert.Equal("a ST b ", TextOf(events));
        Assert.Single(events, message => message.EventCase == GenerationEvent.EventOneofCase.Finished);
        await server.QuiesceAsync();
    }

    [Fact]
    public async Task Minimum_tokens_hold_off_stop_strings()
    {
        GenerationResult result = await AnswerAsync("xx yyy xx zzz", options =>
        {
            options.Stop.Strings.Add("xx");
            options.Stop.MinTokens = 5;
        });
        Assert.Equal("xx yyy ", result.Output.Text);
    }

    [Theory]
    [InlineData(1, "")]
    [InlineData(2, "xx yyy ")]
    public async Task A_stop_string_counts_if_it_ends_behind_the_minimum_wherever_it_begins(int minimum, string expected)
    {
        GenerationResult result = await AnswerAsync("xx yyy xx zzz", options =>
        {
            options.Stop.Strings.Add("xx");
            options.Stop.MinTokens = minimum;
        });
        Assert.Equal(expected, result.Output.Text);
    }

    [Fact]
    public async Task A_stop_token_of_the_request_ends_the_output_and_hides()
    {
        GenerationResult result = await AnswerAsync("abcXdef", options => options.Stop.TokenIds.Add('X'));
        Assert.Equal("abc", result.Output.Text);
        Assert.Equal((uint)'X', result.Finished.StopTokenId);
        Assert.Equal((uint)'X', result.Output.TokenIds[^1]);
    }

    [Fact]
    public async Task A_stop_token_shows_when_asked_for()
    {
        GenerationResult result = await AnswerAsync("abcXdef", options =>
        {
            options.Stop.TokenIds.Add('X');
            options.Stop.IncludeStopInOutput = true;
        });
        Assert.Equal("abcX", result.Output.Text);
    }

    [Fact]
    public async Task Ignored_end_tokens_are_ordinary_tokens()
    {
        GenerationResult result = await AnswerAsync("ab", options =>
        {
            options.Stop.IgnoreEos = true;
            options.Stop.MaxTokens = 5;
            options.SkipSpecialTokens = false;
        });
        Assert.Equal(FinishReason.Length, result.Finished.Reason);
        Assert.Equal("ab<|im_end|><|im_end|><|im_end|>", result.Output.Text);
    }

    private async Task<GenerationResult> AnswerAsync(string script, Action<GenerationOptions> set)
    {
        await using WireServer server = await StartAsync();
        server.Fake.Writes(script);
        GenerationResult result = await server.Client.GenerateOnceAsync(Prompt(64, set), cancellationToken: Token);
        await server.QuiesceAsync();
        return result;
    }
}
