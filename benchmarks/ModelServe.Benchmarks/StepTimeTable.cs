using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Admission;
using ModelServe.Engine.Running;
using ModelServe.Execution.Loading;

namespace ModelServe.Benchmarks;

/// <summary>What a step takes by its rows: so many streams that generate, beside so many tokens of one prompt.</summary>
internal static class StepTimeTable
{
    private static readonly int[] Streams = [0, 1, 2, 4, 8, 16];
    private static readonly int[] Portions = [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 128];

    /// <summary>Prints milliseconds for each pair, medians of rounds in each of which every pair runs once.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="context">Position at which streams and prompt stand.</param>
    /// <param name="rounds">How often each pair is measured.</param>
    public static void Print(TextWriter writer, string directory, int context, int rounds)
    {
        int most = Streams.Max();
        ModelLoadOptions options = new() { MaxSequences = most + 1, MaxModelLength = context + Portions.Max() + 1 };
        using LoadedModel model = ModelLoader.Load(directory, options, progress: null);
        IStepExecutor executor = model.Executor;
        StepPlan plan = new(executor.Geometry);
        for (int slot = 0; slot <= most; slot++)
        {
            for (int block = 0; block < plan.BlockTableStride; block++)
            {
                plan.BlockTables[(slot * plan.BlockTableStride) + block] = 1 + (slot * plan.BlockTableStride) + block;
            }
        }

        (int Streams, int Portion)[] pairs = [.. Streams.SelectMany(streams => Portions.Select(portion => (streams, portion))).Where(pair => pair is not (0, 0))];
        Dictionary<(int, int), List<double>> times = pairs.ToDictionary(pair => pair, _ => new List<double>());
        for (int round = -2; round < rounds; round++)
        {
            foreach ((int streams, int portion) in pairs)
            {
                Fill(plan, executor.Geometry, streams, portion, context, isFirst: round == -2);
                long start = Stopwatch.GetTimestamp();
                executor.Submit(plan);
                executor.Collect();
                if (round >= 0)
                {
                    times[(streams, portion)].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }
            }
        }

        writer.WriteLine("streams | " + string.Join(" | ", Portions.Select(portion => portion.ToString(CultureInfo.InvariantCulture))));
        foreach (int streams in Streams)
        {
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{streams} | ") + string.Join(" | ", Portions.Select(portion => times.TryGetValue((streams, portion), out List<double>? own) ? own.Order().ElementAt(own.Count / 2).ToString("0.0", CultureInfo.InvariantCulture) : "-")));
        }
    }

    // The slots' tokens are entered anew for every step: a step that samples moves its slots on, and nobody looks at what it chose.
    private static void Fill(StepPlan plan, ExecutorGeometry geometry, int streams, int portion, int context, bool isFirst)
    {
        plan.Clear();
        plan.StepId++;
        for (int slot = 0; slot < streams + (portion > 0 ? 1 : 0); slot++)
        {
            bool generates = slot < streams;
            int count = generates ? 1 : portion;
            int start = plan.TokenCount;
            for (int i = 0; i < count; i++)
            {
                plan.TokenIds[start + i] = (int)((((plan.StepId * 31) + slot) * 2654435761 + (i * 40503)) % geometry.VocabularySize);
            }

            plan.Slots[slot] = slot;
            plan.FirstPositions[slot] = isFirst ? 0 : context;
            plan.Samples[slot] = generates;
            plan.TokenCount = plan.TokenStarts[slot + 1] = start + count;
            plan.NewSlots[plan.NewSlotCount++] = new SlotAssignment(slot, SamplingOptions.Greedy, plan.TokenIds.AsMemory(start, count), count);
            plan.SequenceCount++;
        }
    }
}
