using System.Diagnostics;
using Grpc.Core;
using ModelServe.V1;

namespace ModelServe.LoadGenerator;

/// <summary>Sends one request of a plan and tells its clock what each message brought.</summary>
internal delegate Task SendRequest(int connection, uint[] prompt, RequestClock clock, CancellationToken cancellationToken);

/// <summary>Sends the requests of a plan and records what each client saw.</summary>
/// <remarks>Prompts and everything that records are made before the first measured request.</remarks>
internal sealed class LoadRun(LoadPlan plan, Model model, SendRequest send)
{
    /// <summary>Runs the plan to its end.</summary>
    public async Task<LoadReport> RunAsync(CancellationToken cancellationToken)
    {
        _ = await ClosedLoopAsync(plan.WarmupPrompt, plan.Warmup, cancellationToken);
        using var beside = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<List<RequestClock>> besides = BesideAsync(beside.Token);
        TimeSpan before = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        RequestClock[] clocks = plan.Rate is { } rate
            ? await OpenLoopAsync(rate, cancellationToken)
            : await ClosedLoopAsync(plan.Prompt, plan.Requests, cancellationToken);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        double processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        await beside.CancelAsync();
        return Report(clocks, await besides, seconds, processor);
    }

    private async Task<RequestClock[]> ClosedLoopAsync(Func<int, int, uint[]> promptOf, int count, CancellationToken cancellationToken)
    {
        (uint[][] prompts, RequestClock[] clocks) = Prepare(promptOf, count);
        int next = -1;
        async Task WorkAsync()
        {
            for (int i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
            {
                await SendAsync(i, prompts[i], clocks[i], cancellationToken);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, plan.Concurrency).Select(_ => WorkAsync()));
        return clocks;
    }

    private async Task<RequestClock[]> OpenLoopAsync(double rate, CancellationToken cancellationToken)
    {
        // Arrivals follow the clock, not the answers: a slow server does not slow the load down.
        (uint[][] prompts, RequestClock[] clocks) = Prepare(plan.Prompt, plan.Requests);
        var random = new Random(plan.Seed);
        var tasks = new Task[clocks.Length];
        long start = Stopwatch.GetTimestamp();
        double due = 0;
        for (int i = 0; i < tasks.Length; i++)
        {
            double wait = due - Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (wait > 0)
            {
                await Task.Delay(TimeSpan.FromSeconds(wait), TimeProvider.System, cancellationToken);
            }

            tasks[i] = SendAsync(i, prompts[i], clocks[i], cancellationToken);
            due += -Math.Log(1 - random.NextDouble()) / rate;
        }

        await Task.WhenAll(tasks);
        return clocks;
    }

    // Until it is cancelled; those that have not ended by then count for nothing.
    private async Task<List<RequestClock>> BesideAsync(CancellationToken cancellationToken)
    {
        List<RequestClock> clocks = [];
        List<Task> tasks = [];
        var random = new Random(~plan.Seed);
        try
        {
            for (int i = 0; plan.BesideRate > 0; i++)
            {
                await Task.Delay(TimeSpan.FromSeconds(-Math.Log(1 - random.NextDouble()) / plan.BesideRate), TimeProvider.System, cancellationToken);
                clocks.Add(new RequestClock(1));
                tasks.Add(SendAsync(i, plan.BesidePrompt(i, model.VocabularySize), clocks[^1], cancellationToken));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(tasks);
        }

        return clocks;
    }

    private (uint[][] Prompts, RequestClock[] Clocks) Prepare(Func<int, int, uint[]> promptOf, int count) => (
        [.. Enumerable.Range(0, count).Select(index => promptOf(index, model.VocabularySize))],
        [.. Enumerable.Range(0, count).Select(_ => new RequestClock(plan.OutputTokens))]);

    private async Task SendAsync(int number, uint[] prompt, RequestClock clock, CancellationToken cancellationToken)
    {
        string? failure = null;
        clock.Start();
        try
        {
            await send(number, prompt, clock, cancellationToken);
        }
        catch (RpcException exception)
        {
            failure = $"{exception.StatusCode}: {exception.Status.Detail}";
        }
        catch (Exception exception) when (exception is HttpRequestException or InvalidDataException or OperationCanceledException)
        {
            failure = exception.Message;
        }

        clock.End(failure);
    }

    private LoadReport Report(RequestClock[] clocks, List<RequestClock> besides, double seconds, double processorSeconds)
    {
        RequestClock[] good = [.. clocks.Where(clock => clock.Failure is null)];
        long tokens = good.Sum(clock => (long)clock.Tokens);
        return new LoadReport(
            model.Name,
            plan,
            good.Length,
            clocks.Length - good.Length,
            clocks.Select(clock => clock.Failure).FirstOrDefault(failure => failure is not null),
            seconds,
            processorSeconds,
            good.Length / seconds,
            tokens / seconds,
            good.Length * (double)plan.PromptTokens / seconds,
            good.Any(clock => clock.CachedTokens is not null) ? good.Sum(clock => clock.CachedTokens ?? 0L) : null,
            Distribution.Of([.. good.Select(clock => clock.FirstTokenSeconds)]),
            Distribution.Of([.. good.SelectMany(clock => clock.Gaps.ToArray())]),
            Distribution.Of([.. good.Select(clock => clock.TotalSeconds)]),
            Distribution.Of([.. besides.Where(clock => clock.Failure is null).Select(clock => clock.FirstTokenSeconds)]));
    }
}
