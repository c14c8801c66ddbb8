using System.Diagnostics;
using System.Globalization;
using ModelServe.Execution.Cpu;
using ModelServe.Execution.Cpu.Threads;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;
using ModelServe.Execution.Quantization;

namespace ModelServe.Benchmarks;

/// <summary>Measures a model's products as its steps meet them: in their order, every layer's own weights, activations prepared and results used as there.</summary>
/// <remarks>Weights are read from memory as far as the model exceeds the caches. Attention, sampling and the engine are left out.</remarks>
internal static unsafe class ProductsTable
{
    private static readonly string[] Names = ["norm, qkv", "output", "norm, gate, up, silu", "down", "norm, head"];

    /// <summary>Prints for each number of rows the microseconds of each product (and operations a nanosecond), medians, and of the whole step beside what memory and arithmetic allow.</summary>
    /// <param name="output">Where the table goes.</param>
    /// <param name="name">Of <see cref="RandomCheckpoint.Shapes"/>.</param>
    /// <param name="format">Of <see cref="CpuTable.Formats"/>, but for the last.</param>
    /// <param name="steps">Steps measured for each number of rows.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="counts">Numbers of rows.</param>
    public static void Print(TextWriter output, string name, string format, int steps, int threads, IReadOnlyList<int> counts)
    {
        CheckpointShape shape = RandomCheckpoint.Shapes[name];
        using Model model = new(shape, format, counts.Max(), threads);
        using NativeBuffer probe = DramBandwidth.Filled(1L << 29);
        using ForkJoinPool pool = new(threads);
        double peak = Ceilings.Peak(threads, isQuantized: !CpuTable.IsBFloat16(format));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name}, {format}, {model.Bytes / 1e6:0} MB of weights, {threads} threads, {peak:0} G operations/s"));
        output.WriteLine($"| rows | {string.Join(" | ", Names)} | step, ms | memory alone | arithmetic alone | share of the longer | rows/s |");
        output.WriteLine($"|---|{string.Concat(Enumerable.Repeat("---|", Names.Length + 5))}");

        // All numbers of rows take turns, so that a disturbance or a drift of the clock falls on each alike.
        double[][][] times = [.. counts.Select(_ => Names.Select(_ => new double[steps * shape.Layers]).ToArray())];
        double[][] whole = [.. counts.Select(_ => new double[steps])];
        double[] reads = new double[steps];
        OtherLoad others = OtherLoad.Begin();
        for (int step = -1; step < steps; step++)
        {
            for (int i = 0; i < counts.Count; i++)
            {
                long start = Stopwatch.GetTimestamp();
                model.Step(counts[i], times[i], Math.Max(0, step));
                whole[i][Math.Max(0, step)] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }

            reads[Math.Max(0, step)] = DramBandwidth.Once(pool, probe.Pointer, 1L << 28);
        }

        double share = others.Share();
        double read = Median(reads);
        for (int i = 0; i < counts.Count; i++)
        {
            int count = counts[i];
            double milliseconds = Median(whole[i]);
            double memory = model.Bytes / read / 1e6;
            double arithmetic = 2.0 * model.Elements * count / peak / 1e6;
            IEnumerable<string> figures = times[i].Select((all, kind) =>
            {
                double median = Median(kind == Names.Length - 1 ? all[..steps] : all);
                return string.Create(CultureInfo.InvariantCulture, $"{median * 1e6:0} ({2.0 * model.ElementsOf(kind) * count / median / 1e9:0})");
            });
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {count} | {string.Join(" | ", figures)} | {milliseconds:0.00} | {memory:0.00} | {arithmetic:0.00} | {Math.Max(memory, arithmetic) / milliseconds:P0} | {count / milliseconds * 1e3:0} |"));
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"DRAM read between the steps, median: {read:0.0} GB/s; processors taken by others: {share:P0}"));
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }

    private sealed class Model : IDisposable
    {
        private readonly CpuOps _plain;
        private readonly IOps _ops;
        private readonly CheckpointShape _shape;
        private readonly NativeBuffer _memory;
        private readonly NativeBuffer _gain;
        private readonly ActivationArena _arena;
        private readonly WeightVector _norm;
        private readonly List<WeightMatrix[]> _layers = [];
        private readonly WeightMatrix _head;
        private readonly Activation _residual, _delta, _hidden, _fused, _attended, _gateUp, _gated, _logits;

        public Model(CheckpointShape shape, string name, int maxRows, int threads)
        {
            QuantizedFormat? format = CpuTable.IsBFloat16(name) ? null : Enum.Parse<QuantizedFormat>(name, ignoreCase: true);
            _shape = shape;
            AttentionShape attention = new(shape.Heads, shape.KvHeads, shape.HeadSize, 1f, 0);
            OpsShape sizes = new(maxRows, maxRows, 64, shape.Hidden, shape.Intermediate, shape.Vocabulary, attention);
            _plain = new CpuOps(sizes, threads, NativeCpu.Load(), narrow: CpuTable.Packing(name) == WeightPacking.Auto);
            _ops = _plain;
            (int Rows, int Columns)[] layer =
            [
                (attention.FusedColumns, shape.Hidden),
                (shape.Hidden, attention.QueryColumns),
                (2 * shape.Intermediate, shape.Hidden),
                (shape.Hidden, shape.Intermediate),
            ];
            (int Rows, int Columns) head = (shape.Vocabulary, shape.Hidden);
            _memory = DramBandwidth.Filled((layer.Sum(Size) * shape.Layers) + Size(head));
            if (format is null)
            {
                RandomCheckpoint.Fill(_memory);
            }

            long used = 0;
            for (int i = 0; i < shape.Layers; i++)
            {
                _layers.Add([.. layer.Select(Next)]);
            }

            _head = Next(head);
            _gain = new NativeBuffer(shape.Hidden * sizeof(float));
            new Span<float>(_gain.Pointer, shape.Hidden).Fill(1f);
            _norm = new WeightVector((float*)_gain.Pointer, shape.Hidden);
            int[] columns =
            [
                shape.Hidden, shape.Hidden, shape.Hidden, attention.FusedColumns, attention.QueryColumns, 2 * shape.Intermediate, shape.Intermediate, shape.Vocabulary,
            ];
            _arena = new ActivationArena(columns.Sum(width => ActivationArena.BytesFor(maxRows, width)));
            Activation[] parts = [.. columns.Select(width => _arena.Carve(maxRows, width))];
            (_residual, _delta, _hidden, _fused) = (parts[0], parts[1], parts[2], parts[3]);
            (_attended, _gateUp, _gated, _logits) = (parts[4], parts[5], parts[6], parts[7]);

            long Size((int Rows, int Columns) matrix) => format is { } quantized
                ? new QuantizedShape(quantized, matrix.Rows, matrix.Columns).Bytes
                : (long)matrix.Rows * matrix.Columns * sizeof(ushort);

            WeightMatrix Next((int Rows, int Columns) matrix)
            {
                byte* place = _memory.Pointer + used;
                used += Size(matrix);
                WeightMatrix weight = format is { } quantized
                    ? new WeightMatrix(place, new QuantizedShape(quantized, matrix.Rows, matrix.Columns))
                    : new WeightMatrix(place, ElementType.BFloat16, matrix.Rows, matrix.Columns);
                _ops.Adopt(weight);
                return weight;
            }
        }

        public long Bytes => _layers.SelectMany(layer => layer).Append(_head).Sum(weight => weight.Bytes);

        public long Elements => (Enumerable.Range(0, 4).Sum(ElementsOf) * _shape.Layers) + ElementsOf(4);

        public long ElementsOf(int kind)
        {
            WeightMatrix weight = kind == 4 ? _head : _layers[0][kind];
            return (long)weight.Rows * weight.Columns;
        }

        public void Step(int rows, double[][] times, int step)
        {
            // As after the embedding; what stands in for the attention leaves its output alone.
            new Span<float>(_residual.Data, rows * _residual.Columns).Fill(0.5f);
            new Span<float>(_attended.Data, rows * _attended.Columns).Fill(0.5f);
            Activation? pending = null;
            for (int i = 0; i < _layers.Count; i++)
            {
                WeightMatrix[] layer = _layers[i];
                int place = (step * _layers.Count) + i;
                long start = Stopwatch.GetTimestamp();
                _ops.NormLinear(_residual, pending, _norm, 1e-5f, _hidden, layer[0], _fused, rows);
                start = Note(times[0], place, start);
                pending = _ops.LinearInto(_attended, layer[1], _residual, _delta, rows);
                start = Note(times[1], place, start);
                _ops.NormGated(_residual, pending, _norm, 1e-5f, _hidden, layer[2], _gateUp, _gated, rows);
                start = Note(times[2], place, start);
                pending = _ops.LinearInto(_gated, layer[3], _residual, _delta, rows);
                Note(times[3], place, start);
            }

            long begin = Stopwatch.GetTimestamp();
            _ops.NormLinear(_residual, pending, _norm, 1e-5f, _hidden, _head, _logits, rows);
            Note(times[4], step, begin);
        }

        public void Dispose()
        {
            _plain.Dispose();
            _arena.Dispose();
            _gain.Dispose();
            _memory.Dispose();
        }

        private static long Note(double[] times, int place, long start)
        {
            long now = Stopwatch.GetTimestamp();
            times[place] = (now - start) / (double)Stopwatch.Frequency;
            return now;
        }
    }
}
