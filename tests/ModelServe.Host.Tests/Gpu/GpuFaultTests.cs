using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using ModelServe.Host.Tests.Faults;
using ModelServe.V1;
using Xunit;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace ModelServe.Host.Tests.Gpu;

/// <summary>What becomes of the process when its GPU fails, with the stub in the GPU's place.</summary>
public sealed class GpuFaultTests(GpuStub stub)
{
    private const long Memory = 3L << 30;

    // What the process returns after a failure.
    private const int FailureCode = 3;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("0 sync hang 30", "a step did not return within {0} s")]
    [InlineData("0 sync lost 30", "injected: device 0 was lost")]
    public Task A_device_that_hangs_or_is_lost_ends_every_stream_once_turns_health_and_ends_the_process(string fault, string reason)
    {
        // Where the machine stood still for as long as a step may take, or the process stays, longer times are tried.
        double limit = 0.4;
        return StopTests.WhileTheMachineGoesAsync(() => FailAsync(fault, reason, limit), () => limit *= 2);
    }

    private async Task FailAsync(string fault, string reason, double limit)
    {
        string Text(double seconds) => seconds.ToString("0.##", CultureInfo.InvariantCulture);
        using GpuServer server = await new GpuServer(stub, Memory, 1, null, "--step-timeout", Text(limit), "--failure-grace", Text(4 * limit)).ReadyAsync();
        Assert.Equal("85", await server.AnswerAsync());
        Assert.Equal(ServingStatus.Serving, await server.HealthAsync());
        var ends = await server.StreamTogetherAsync(6, 400, fault);
        Stopwatch since = Stopwatch.StartNew();
        Assert.All(ends, end => Assert.Equal((null, ErrorCode.EngineFailed, 1), (end.Reason, end.Error, end.Endings)));
        RpcException refused = await Assert.ThrowsAnyAsync<RpcException>(() => server.AnswerAsync());
        Assert.Equal(StatusCode.Unavailable, refused.StatusCode);
        while (await server.HealthAsync() != ServingStatus.NotServing)
        {
            await Task.Yield();
        }

        Assert.InRange(since.Elapsed.TotalSeconds, 0, 1);
        Assert.Equal(FailureCode, await server.Process.WaitAsync(Cancellation));
        Assert.Contains(string.Format(CultureInfo.InvariantCulture, reason, Text(limit)), server.Process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public Task A_device_that_hangs_while_the_model_warms_up_is_refused_in_one_line()
    {
        // Where the test stood still until the model was warm, it warms up for longer.
        int seconds = 3;
        return StopTests.WhileTheMachineGoesAsync(() => HangAsync(seconds), () => seconds *= 2);
    }

    private async Task HangAsync(int seconds)
    {
        using GpuServer server = new(stub, Memory, 1, null, "--step-timeout", "0.4", "--warm-up", $"{seconds}");
        await server.Process.WaitForErrorTextAsync("weights on the device", Cancellation);
        server.Order("0 sync hang");
        Task<int> end = server.Process.WaitAsync(Cancellation);
        await Task.WhenAny(end, server.Process.WaitForErrorTextAsync("ready: ", Cancellation));
        Assert.DoesNotContain("ready: ", server.Process.Errors, StringComparison.Ordinal);
        Assert.Equal(1, await end);
        Assert.Matches("modelserve: the model cannot answer: a step of the warm-up did not return within 0.4 s\n$", server.Process.Errors);
    }

    [Fact]
    public async Task Logits_that_are_no_numbers_fail_one_request_and_no_other()
    {
        using GpuServer server = await new GpuServer(stub, Memory, 1, null).ReadyAsync();
        var ends = await server.StreamTogetherAsync(4, 40, "0 logits nan 20");
        Assert.Equal([ErrorCode.Internal], ends.Where(end => end.Error is not null).Select(end => end.Error!.Value));
        Assert.All(ends.Where(end => end.Error is null), end => Assert.Equal((V1.FinishReason.Length, 1, 40), (end.Reason!.Value, end.Endings, end.Tokens)));
        Assert.Equal(ServingStatus.Serving, await server.HealthAsync());
        Assert.Equal("85", await server.AnswerAsync());
        Assert.Contains("vllm:corrupted_requests_total{model_name=\"tiny-mini\",engine=\"0\"} 1\n", await server.MetricsAsync(), StringComparison.Ordinal);
        server.Process.Terminate();
        Assert.Equal(0, await server.Process.WaitAsync(Cancellation));
    }

    [Fact]
    public async Task Steps_and_graphs_without_memory_change_no_answer_and_for_good_end_one_request()
    {
        using GpuServer server = await new GpuServer(stub, Memory, 1, null).ReadyAsync();
        server.Order("0 graph memory 0 7\n0 launch memory 0 700");
        var ends = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.StreamAsync(60)));
        Assert.All(ends, end => Assert.Equal((V1.FinishReason.Length, null, 1, 60), (end.Reason, end.Error, end.Endings, end.Tokens)));
        Assert.Equal("85", await server.AnswerAsync());
        Assert.Matches("modelserve:exhausted_steps_total\\{[^}]*\\} [1-9]", await server.MetricsAsync());
        Assert.Matches(
            "on cuda: no memory for the graphs of [0-9]+ sequences, whose steps go without them for now",
            await server.Process.WaitForErrorTextAsync("whose steps go without them for now", Cancellation));

        server.Order("0 launch memory");
        Assert.Equal((null, ErrorCode.Exhausted, 1, 0), await server.StreamAsync(20));
        server.Order("");
        Assert.Equal("85", await server.AnswerAsync());
        Assert.Equal(ServingStatus.Serving, await server.HealthAsync());
        ModelServe.Api.Tests.Wire.Tally.Fault(17, "steps and graphs without memory on the GPU path", 7, 6, 1);
    }

    [Fact]
    public async Task An_allocation_that_fails_at_the_start_is_told_in_one_line_with_its_numbers()
    {
        using GpuServer server = new(stub, Memory, 1, "0 malloc memory 2");
        Assert.Equal(1, await server.Process.WaitAsync(Cancellation));
        Assert.Matches(@"^modelserve: device memory: [a-z -]+ needs [0-9,.]+ MiB; [0-9,.]+ of 3,072.0 MiB are free", server.Process.Errors);
        Assert.DoesNotContain("   at ", server.Process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_lost_device_of_two_costs_its_own_streams_and_the_last_one_ends_the_process()
    {
        using GpuServer server = await new GpuServer(stub, Memory, 2, null, "--failure-grace", "0.2").ReadyAsync();
        var ends = await server.StreamTogetherAsync(6, 40, "1 sync lost 10");
        Assert.InRange(ends.Count(end => end.Error == ErrorCode.EngineFailed), 1, 5);
        Assert.All(ends, end => Assert.True(end.Endings == 1 && (end.Error == ErrorCode.EngineFailed || end.Reason == V1.FinishReason.Length)));
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal("85", await server.AnswerAsync());
        }

        Assert.Equal(ServingStatus.Serving, await server.HealthAsync());
        string page = await server.MetricsAsync();
        Assert.Contains("vllm:engine_healthy{model_name=\"tiny-mini\",engine=\"0\"} 1\n", page, StringComparison.Ordinal);
        Assert.Contains("vllm:engine_healthy{model_name=\"tiny-mini\",engine=\"1\"} 0\n", page, StringComparison.Ordinal);
        server.Order("0 sync lost");
        Assert.Equal(ErrorCode.EngineFailed, (await server.StreamAsync(50)).Error);
        Assert.Equal(FailureCode, await server.Process.WaitAsync(Cancellation));
        Assert.Contains("engine 1 is lost, 1 of 2 go on", server.Process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Large_graphs_are_captured_after_the_server_is_ready_and_the_start_is_told_in_order()
    {
        using GpuServer server = await new GpuServer(stub, Memory, 1, null, "--max-running", "40").ReadyAsync();
        string errors = server.Process.Errors;
        string[] told = ["GB/s; reading and converting", "key-value blocks", "ready: "];
        int[] places = [.. told.Select(text => errors.IndexOf(text, StringComparison.Ordinal))];
        Assert.All(places, place => Assert.InRange(place, 0, errors.Length));
        Assert.Equal(places.Order(), places);
        Assert.Equal("85", await server.AnswerAsync());
        // More rows at once than were captured at the start.
        Assert.All(await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => server.StreamAsync(4))), end => Assert.Equal((V1.FinishReason.Length, 4), (end.Reason!.Value, end.Tokens)));
    }

    [Fact]
    public void Only_the_stub_knows_the_variables_that_make_it_fail()
    {
        string[] others = [.. Directory.GetFiles(GpuStub.NativeSources(), "*.*", SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".cpp", StringComparison.Ordinal) || file.EndsWith(".h", StringComparison.Ordinal) || file.EndsWith(".cuh", StringComparison.Ordinal))
            .Where(file => !file.Contains("/stub/", StringComparison.Ordinal))];
        Assert.NotEmpty(others);
        Assert.DoesNotContain(others, file => File.ReadAllText(file).Contains("MS_STUB", StringComparison.Ordinal));
    }
}
