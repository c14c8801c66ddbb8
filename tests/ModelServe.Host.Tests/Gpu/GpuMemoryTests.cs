using Grpc.Core;
using ModelServe.Host.Models;
using ModelServe.Host.Tests.Cli;
using ModelServe.V1;
using Xunit;

namespace ModelServe.Host.Tests.Gpu;

/// <summary>Several models on one GPU, whose memory the stub counts.</summary>
public sealed class GpuMemoryTests(GpuStub stub)
{
    private static readonly string[] TwoModels = ["--model", "strong=tiny-mini", "--model", "cheap=tiny-nano"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_models_share_a_gpu_by_need_and_both_answer()
    {
        using GpuServer server = await new GpuServer(stub, 3L << 30, 1, null, TwoModels).ReadyAsync();
        foreach (string name in new[] { "strong", "cheap" })
        {
            Assert.Matches("^[0-9]+$", await server.AnswerAsync(name));
        }

        // Nine tenths of 3 GiB, of which each has its own needs and half of the rest.
        double[] totals = [.. System.Text.RegularExpressions.Regex.Matches(server.Process.Errors, @"^total +([0-9,.]+) MiB", System.Text.RegularExpressions.RegexOptions.Multiline)
            .Select(match => double.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(2, totals.Length);
        Assert.InRange(totals.Sum(), 2_700, 2_764.8);
        Assert.InRange(totals[0], 1_300, 1_450);
    }

    [Fact]
    public async Task Models_that_do_not_fit_together_are_refused_before_the_first_is_loaded_naming_both()
    {
        using GpuServer server = new(stub, 3L << 29, 1, null, TwoModels);
        Assert.Equal(1, await server.Process.WaitAsync(Cancellation));
        Assert.Matches(
            @"^modelserve: device memory: at most 1,382\.4 MiB of cuda for 2 models; got 'strong' [0-9,.]+ MiB \(weights [0-9.]+ MiB\) \+ 'cheap' [0-9,.]+ MiB \(weights [0-9.]+ MiB\)\s*$",
            server.Process.Errors);
    }

    [Fact]
    public async Task Memory_that_was_asked_for_is_refused_with_the_models_name_when_it_is_not_there()
    {
        using GpuServer server = new(stub, 3L << 30, 1, null, [.. TwoModels, "--kv-memory", "1GiB"]);
        Assert.Equal(1, await server.Process.WaitAsync(Cancellation));
        Assert.Contains("device memory: at most 2,764.8 MiB of cuda for 2 models; got 'strong' ", server.Process.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_model_is_loaded_into_what_the_others_leave_and_an_unload_gives_it_back()
    {
        string root = Path.GetDirectoryName(Path.GetFullPath(ShippedModels.Resolve("tiny-mini")))!;
        using GpuServer server = await new GpuServer(
            stub, 2L << 30, 1, null, "--model", "first=tiny-mini", "--kv-memory", "16MiB", "--model-root", root).ReadyAsync();
        var models = new V1.Models.ModelsClient(server.Channel);

        // Room for one more: of two that come at once, one is served and the other is told who holds what.
        Task<string>[] loads = [LoadAsync(models, "second"), LoadAsync(models, "third")];
        string[] outcomes = await Task.WhenAll(loads);
        int served = Array.IndexOf(outcomes, "served");
        Assert.InRange(served, 0, 1);
        string winner = served == 0 ? "second" : "third";
        Assert.Matches(
            @"device memory: at most [0-9.]+ MiB of cuda \(0\.9 of 2,048\.0 MiB, [0-9,.]+ MiB free, 'first' holds [0-9.]+ MiB, '" + winner + @"' holds [0-9.]+ MiB\); got weights",
            outcomes[1 - served]);
        Assert.Matches("^[0-9]+$", await server.AnswerAsync(winner));
        Assert.Equal("85", await server.AnswerAsync("first"));

        // Again and again: nothing is left behind by an unload.
        for (int round = 0; round < 3; round++)
        {
            await UnloadAsync(models, winner);
            Assert.Equal("served", await LoadAsync(models, winner));
        }

        await UnloadAsync(models, winner);
        Assert.Equal("served", await LoadAsync(models, "fourth"));
        Assert.Equal("85", await server.AnswerAsync("first"));
    }

    [Theory]
    [InlineData("cuda:0,cuda:0")]
    [InlineData("cuda:0,cpu")]
    [InlineData("cuda,cuda:1")]
    [InlineData("cuda:0,")]
    [InlineData("cuda:00,cuda:1")]
    public async Task Devices_that_are_no_set_of_gpus_are_refused(string devices)
    {
        (int code, _, string errors) = await ModelServeProcess.RunAsync(Cancellation, "serve", "--device", devices);
        Assert.NotEqual(0, code);
        Assert.Contains($"--device: expected auto, cpu, cuda, cuda:N or several different ones such as cuda:0,cuda:1; got '{devices}'", errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_that_is_not_there_is_named_and_the_other_copy_given_up()
    {
        using GpuServer server = new(stub, 3L << 30, 2, null, "--device", "cuda:0,cuda:5");
        Assert.Equal(1, await server.Process.WaitAsync(Cancellation));
        Assert.Matches(@"^modelserve: device cuda:5: native library: device must be 0\.\.1 on the CPU stub, is 5 \(InvalidArgument\)\s*$", server.Process.Errors);
    }

    [Fact]
    public async Task A_copy_that_finds_no_memory_takes_the_other_with_it()
    {
        using GpuServer server = new(stub, 3L << 30, 2, "1 malloc memory 3");
        Assert.Equal(1, await server.Process.WaitAsync(Cancellation));
        Assert.Matches(@"^modelserve: device memory: [a-z -]+ needs [0-9,.]+ MiB; [0-9,.]+ of 3,072\.0 MiB are free\s*$", server.Process.Errors);
    }

    private static async Task<string> LoadAsync(V1.Models.ModelsClient models, string name)
    {
        using AsyncServerStreamingCall<LoadModelEvent> call = models.Load(new LoadModelRequest { Model = name, Directory = "tiny-nano" }, cancellationToken: Cancellation);
        try
        {
            LoadModelEvent last = new();
            await foreach (LoadModelEvent message in call.ResponseStream.ReadAllAsync(Cancellation))
            {
                last = message;
            }

            return last.Loaded is null ? "nothing" : "served";
        }
        catch (RpcException refused)
        {
            Assert.Equal(StatusCode.FailedPrecondition, refused.StatusCode);
            return refused.Status.Detail;
        }
    }

    private static async Task UnloadAsync(V1.Models.ModelsClient models, string name)
    {
        using AsyncServerStreamingCall<UnloadModelEvent> call = models.Unload(new UnloadModelRequest { Model = name }, cancellationToken: Cancellation);
        await foreach (UnloadModelEvent message in call.ResponseStream.ReadAllAsync(Cancellation))
        {
            Assert.NotNull(message);
        }
    }
}
