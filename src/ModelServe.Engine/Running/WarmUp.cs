using ModelServe.Engine.Admission;

namespace ModelServe.Engine.Running;

/// <summary>Answers made-up requests on a freshly loaded model, so that the first real ones find compiled code, weights in memory and measured step times.</summary>
/// <remarks>
/// Runs an engine of its own over the same executor, step by step on the thread of the caller: queues, blocks, prefixes and counts of
/// the engine that will serve never see it. Only what steps took is handed on.
/// </remarks>
internal static class WarmUp
{
    private const int MostWaves = 64;
    private const int MostStreams = 8;
    private const int OutputTokens = 24;
    private const int ShortestPrompt = 12;
    private const int LongestPrompt = 96;
    private const int StepsBetweenArrivals = 3;
    private const int WavesThatSample = 4;

    private static readonly SamplingOptions[] Samplings =
    [
        SamplingOptions.Greedy,
        SamplingOptions.Greedy with { Temperature = 0.8f, TopP = 0.9f, TopK = 40, Seed = 1 },
    ];

    /// <summary>Answers waves of one to a few streams whose prompts come one after the other, until the time is up.</summary>
    /// <param name="engine">An engine that was not started and will not be used afterwards.</param>
    /// <param name="limit">When no further step begins.</param>
    /// <param name="time">What the limit is measured on.</param>
    /// <param name="isStopped">Asked before every step whether to end at once.</param>
    public static WarmUpReport Run(EngineLoop engine, TimeSpan limit, TimeProvider time, Func<bool> isStopped)
    {
        var start = time.GetTimestamp();
        bool IsOver() => isStopped() || engine.Status.Failure is not null || time.GetElapsedTime(start) >= limit;
        List<TokenStream> streams = [];
        for (var wave = 0; wave < MostWaves && !IsOver(); wave++)
        {
            var count = Math.Min(Math.Min(1 << Math.Min(wave, 3), MostStreams), engine.Geometry.MaxSequences);
            var admitted = 0;
            var goesOn = true;
            for (var step = 0; (goesOn || admitted < count) && !IsOver(); step++)
            {
                if (admitted < count && step % StepsBetweenArrivals == 0 && !TryAdmit(engine, wave, admitted++, streams))
                {
                    count = admitted;
                }

                goesOn = engine.RunStep();
            }
        }

        engine.EndAll(FinishReason.Cancelled);
        while (engine.Status.Failure is null && engine.RunStep())
        {
            // What is in flight comes back, and what was cancelled ends.
        }

        streams.ForEach(stream => stream.Dispose());
        return new WarmUpReport(engine.Status.Steps, time.GetElapsedTime(start), engine.Status.Failure);
    }

    private static bool TryAdmit(EngineLoop engine, int wave, int number, List<TokenStream> streams)
    {
        var geometry = engine.Geometry;
        var length = Math.Min(ShortestPrompt + (number * 28 % (LongestPrompt - ShortestPrompt)), Math.Max(1, geometry.MaxModelLength / 2));
        var prompt = new int[length];
        // Scattered by multiplying, so that prompts differ and a start is like any other.
        var scatter = (uint)((wave * MostStreams) + number + 1) * 40_503u;
        for (var i = 0; i < length; i++)
        {
            prompt[i] = (int)((scatter + (uint)i) * 2_654_435_761u % (uint)geometry.VocabularySize);
        }

        var result = engine.Admit(new GenerationRequest
        {
            RequestId = $"warm-up {wave}.{number}",
            PromptTokenIds = prompt,
            MaxTokens = OutputTokens,
            // Later waves choose the likeliest: they leave behind what steps take without that.
            Sampling = Samplings[wave < WavesThatSample ? number % Samplings.Length : 0],
        });
        if (result.Stream is { } stream)
        {
            streams.Add(stream);
        }

        return result.Stream is not null;
    }
}
