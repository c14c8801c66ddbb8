using System.Diagnostics;
using Grpc.Core;
using ModelServe.Client;
using ModelServe.V1;

namespace ModelServe.LoadGenerator;

/// <summary>Sends the requests of a plan and records what each client saw.</summary>
internal sealed class LoadRun(ModelServeClient[] clients, LoadPlan plan, HttpLoadClient? http = null)
{
    private sealed record Sample(double FirstTokenSeconds, double TotalSeconds, double[] Gaps, int Tokens, string? Failure);

    /// <summary>Runs the plan to its end.</summary>
    public async Task<LoadReport> RunAsync(CancellationToken cancellationToken)
    {
        Model model = await clients[0].GetModelAsync(plan.Model, cancellationToken);
        for (int i = 0; i < plan.Warmup; i++)
        {
            _ = await SendAsync(-1 - i, model, cancellationToken);
        }

        long start = Stopwatch.GetTimestamp();
        Sample[] samples = plan.Rate is { } rate
            ? await OpenLoopAsync(rate, model, cancellationToken)
            : await ClosedLoopAsync(model, cancellationToken);
        return Report(model, samples, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }

    private async Task<Sample[]> ClosedLoopAsync(Model model, CancellationToken cancellationToken)
    {
        var samples = new Sample[plan.Requests];
        int next = -1;
        async Task WorkAsync()
        {
            for (int i = Interlocked.Increment(ref next); i < samples.Length; i = Interlocked.Increment(ref next))
            {
                samples[i] = await SendAsync(i, model, cancellationToken);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, plan.Concurrency).Select(_ => WorkAsync()));
        return samples;
    }

    private async Task<Sample[]> OpenLoopAsync(double rate, Model model, CancellationToken cancellationToken)
    {
        // Arrivals follow the clock, not the answers: a slow server does not slow the load down.
        var random = new Random(plan.Seed);
        var tasks = new Task<Sample>[plan.Requests];
        long start = Stopwatch.GetTimestamp();
        double due = 0;
        for (int i = 0; i < tasks.Length; i++)
        {
            double wait = due - Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (wait > 0)
            {
                await Task.Delay(TimeSpan.FromSeconds(wait), TimeProvider.System, cancellationToken);
            }

            tasks[i] = SendAsync(i, model, cancellationToken);
            due += -Math.Log(1 - random.NextDouble()) / rate;
        }

        return await Task.WhenAll(tasks);
    }

    private async Task<Sample> SendAsync(int index, Model model, CancellationToken cancellationToken)
    {
        var gaps = new List<double>(plan.OutputTokens);
        long start = Stopwatch.GetTimestamp();
        long last = 0;
        double first = 0;
        int tokens = 0;
        try
        {
            uint[] prompt = plan.Prompt(index, model.VocabularySize);
            await (http is null
                ? SendAsync(clients[Math.Abs(index) % clients.Length], model, prompt, Receive, cancellationToken)
                : http.SendAsync(model.Name, prompt, plan.OutputTokens, Receive, cancellationToken));
        }
        catch (HttpRequestException exception)
        {
            return new Sample(0, 0, [], 0, exception.Message);
        }
        catch (RpcException exception)
        {
            return new Sample(0, 0, [], 0, $"{exception.StatusCode}: {exception.Status.Detail}");
        }
        catch (ModelServeException exception)
        {
            return new Sample(0, 0, [], 0, $"{exception.Code}: {exception.Message}");
        }

        return new Sample(first, Stopwatch.GetElapsedTime(start).TotalSeconds, [.. gaps], tokens, null);

        void Receive(int count)
        {
            long now = Stopwatch.GetTimestamp();
            if (tokens == 0)
            {
                first = Stopwatch.GetElapsedTime(start, now).TotalSeconds;
            }
            else
            {
                double gap = Stopwatch.GetElapsedTime(last, now).TotalSeconds / count;
                gaps.AddRange(Enumerable.Repeat(gap, count));
            }

            tokens += count;
            last = now;
        }
    }

    private async Task SendAsync(ModelServeClient client, Model model, uint[] prompt, Action<int> received, CancellationToken cancellationToken)
    {
        var request = new GenerateRequest
        {
            Model = model.Name,
            TokenIds = new TokenIds(),
            Options = new GenerationOptions
            {
                Sampling = new SamplingParameters { Temperature = 0 },
                Stop = new StopConditions { MaxTokens = plan.OutputTokens, IgnoreEos = true },
            },
        };
        request.TokenIds.Ids.Add(prompt);
        await foreach (GenerationEvent message in client.GenerateAsync(request, cancellationToken: cancellationToken))
        {
            if (message.EventCase == GenerationEvent.EventOneofCase.Tokens && message.Tokens.TokenIds.Count > 0)
            {
                received(message.Tokens.TokenIds.Count);
            }
        }
    }

    private LoadReport Report(Model model, Sample[] samples, double seconds)
    {
        Sample[] good = [.. samples.Where(sample => sample.Failure is null)];
        long tokens = good.Sum(sample => (long)sample.Tokens);
        return new LoadReport(
            model.Name,
            plan,
            good.Length,
            samples.Length - good.Length,
            samples.Select(sample => sample.Failure).FirstOrDefault(failure => failure is not null),
            seconds,
            good.Length / seconds,
            tokens / seconds,
            good.Length * (double)plan.PromptTokens / seconds,
            Distribution.Of([.. good.Select(sample => sample.FirstTokenSeconds)]),
            Distribution.Of([.. good.SelectMany(sample => sample.Gaps)]),
            Distribution.Of([.. good.Select(sample => sample.TotalSeconds)]));
    }
}
