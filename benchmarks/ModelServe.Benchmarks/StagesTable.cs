using System.Diagnostics;
using System.Globalization;
using ModelServe.Engine.Running;
using ModelServe.Execution;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Benchmarks;

/// <summary>Where the time of whole steps goes, in the real engine: each stage's median, for several numbers of streams and for prompts.</summary>
internal static class StagesTable
{
    private const int PromptTokens = 512;

    /// <summary>Prints a line for each number of streams; 512 means prompts of so many tokens.</summary>
    /// <param name="writer">Where the table goes.</param>
    /// <param name="directory">A checkpoint; its tokenizer is not needed.</param>
    /// <param name="format">Of <see cref="CpuTable.Formats"/>, but for the last.</param>
    /// <param name="newTokens">Tokens that each stream generates.</param>
    /// <param name="streams">Numbers of streams.</param>
    public static async Task PrintAsync(TextWriter writer, string directory, string format, int newTokens, IReadOnlyList<int> streams)
    {
        ModelLoadOptions options = new()
        {
            MaxSequences = 64,
            MaxModelLength = PromptTokens + newTokens + 16,
            WeightPacking = CpuTable.Packing(format),
            Quantization = CpuTable.IsBFloat16(format) ? null : new WeightQuantization
            {
                Format = Enum.Parse<QuantizedFormat>(format, ignoreCase: true),
                CacheDirectory = WeightQuantization.NoCache,
            },
        };
        ModelConfig config = ModelConfig.Read(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory);
        (ModelMemory memory, MemoryPlan plan, WeightMap map, _) = new WeightLoader(directory, config, checkpoint, options, null).Load();
        DecoderWeights weights = map.Bind(memory.Weights);
        OpsShape shape = MemoryPlan.Shape(config, plan.Geometry.MaxSequences, plan.Geometry.MaxBatchedTokens, plan.Geometry.MaxModelLength);
        using IOps ops = ModelLoader.MakeOps(OpsKind.Cpu, shape, Environment.ProcessorCount, packing: options.WeightPacking);
        foreach (WeightMatrix matrix in weights.Matrices)
        {
            ops.Adopt(matrix);
        }

        WeightGaps.Close(weights, memory.Weights);

        using TimedOps timed = new(ops);
        using CausalDecoder decoder = new(config, shape, timed, weights, memory.Cache, memory.Rotary.Table);
        using ModelRunner runner = new(decoder, plan.Geometry);
        FirstTouch.Run(decoder.Arena, memory.Cache, TimeSpan.FromSeconds(2));
        using (memory)
        using (TimedExecutor executor = new(runner, timed))
        using (EngineLoop engine = new(executor, new EngineOptions { EnablePrefixCaching = false }, TimeProvider.System))
        {
            engine.Start();
            await StreamRates.DecodeAsync(engine, 1, 8);
            await writer.WriteLineAsync($"| streams | {string.Join(" | ", TimedOps.Stages)} | other in the step | between steps | step | tokens/s | processors taken by others |");
            await writer.WriteLineAsync($"|---|{string.Concat(Enumerable.Repeat("---|", TimedOps.Stages.Count + 5))}");
            foreach (int count in streams)
            {
                executor.Rows.Clear();
                OtherLoad others = OtherLoad.Begin();
                bool isPrompt = count == PromptTokens;
                double rate = isPrompt ? await StreamRates.PrefillAsync(engine, count, 5) : await StreamRates.DecodeAsync(engine, count, newTokens);
                await writer.WriteLineAsync(executor.Line(count, rate, others.Share()));
            }
        }
    }

    private sealed class TimedExecutor(IStepExecutor inner, TimedOps ops) : IStepExecutor
    {
        private readonly List<(int Tokens, double[] Milliseconds)> _rows = [];
        private long _end = Stopwatch.GetTimestamp();

        public List<(int Tokens, double[] Milliseconds)> Rows => _rows;

        public ExecutorGeometry Geometry => inner.Geometry;

        public int Depth => inner.Depth;

        public void Submit(StepPlan plan)
        {
            Array.Clear(ops.Ticks);
            long start = Stopwatch.GetTimestamp();
            inner.Submit(plan);
            long whole = Stopwatch.GetTimestamp() - start;
            double[] row = [.. ops.Ticks.Append(whole - ops.Ticks.Sum()).Append(start - _end).Append(whole + start - _end).Select(ticks => ticks * 1e3 / Stopwatch.Frequency)];
            _end = Stopwatch.GetTimestamp();
            _rows.Add((plan.TokenCount, row));
        }

        public StepResult Collect() => inner.Collect();

        public void Dispose()
        {
        }

        public string Line(int tokens, double rate, double others)
        {
            double[][] rows = [.. _rows.Where(row => row.Tokens == tokens).Select(row => row.Milliseconds)];
            IEnumerable<string> figures = Enumerable.Range(0, rows[0].Length).Select(stage =>
            {
                double[] values = [.. rows.Select(row => row[stage]).Order()];
                return string.Create(CultureInfo.InvariantCulture, $"{values[values.Length / 2]:0.00} ({values.Average():0.00})");
            });
            return string.Create(CultureInfo.InvariantCulture, $"| {tokens} | {string.Join(" | ", figures)} | {rate:0} | {others:P0} |");
        }
    }
}
