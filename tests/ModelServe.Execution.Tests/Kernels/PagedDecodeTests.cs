using CsCheck;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Operations;
using Xunit;

namespace ModelServe.Execution.Tests.Kernels;

/// <summary>Decode attention through the library with the planner's work lists, against the definition: random contexts, page tables, windows, sinks.</summary>
public sealed unsafe class PagedDecodeTests(StubLibrary stub)
{
    private const int BlockTokens = 16;
    private static readonly int[] HeadDims = [32, 64, 80, 96, 128, 192, 256];
    private static readonly int[] Windows = [0, 1, 40, 128];

    private static readonly Gen<Case> Cases =
        from headDim in Gen.Int[0, HeadDims.Length - 1].Select(i => HeadDims[i])
        from kvHeads in Gen.Int[1, 2]
        from grouped in Gen.Int[1, 4]
        from contexts in Gen.Int[1, 300].Array[1, 4]
        from window in Gen.Int[0, Windows.Length - 1].Select(i => Windows[i])
        from sinks in Gen.Bool
        from deterministic in Gen.Bool
        from seed in Gen.Int
        select new Case(headDim, kvHeads, grouped * kvHeads, contexts, window, sinks, deterministic, seed);

    [Fact]
    public void A_planned_step_attends_as_the_definition_says()
    {
        stub.SkipIfMissing();
        Cases.Sample(Check, iter: 60, threads: 1);
    }

    private static void Check(Case c)
    {
        using var device = new KernelDevice(0);
        using var stream = new KernelStream(device);
        using var cache = new PagedInput(device, c);
        var planner = new DecodeWorkPlanner(c.Contexts.Length, 300, c.KvHeads, 3, c.Deterministic);
        planner.Plan(c.Contexts, c.Window);
        cache.Launch(new KernelLauncher(device, stream), planner);
        stream.Synchronize();
        var actual = cache.Out.Read();
        var expected = cache.Expected();
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], BFloat.ToSingle(actual[i]), 1e-2 + (Math.Abs(expected[i]) * 1e-2));
        }
    }

    private sealed record Case(int HeadDim, int KvHeads, int QueryHeads, int[] Contexts, int Window, bool Sinks, bool Deterministic, int Seed);

    /// <summary>A paged cache of random numbers whose unused places are not numbers, and queries for it.</summary>
    private sealed class PagedInput : IDisposable
    {
        private readonly KernelDevice _device;
        private readonly Case _case;
        private readonly int _maxBlocks = (300 + BlockTokens - 1) / BlockTokens;
        private readonly int _blocks;
        private readonly int[] _table;
        private readonly float[] _sinks;
#pragma warning disable CA2213 // Both are among the arrays, which are disposed together.
        private readonly DeviceArray<ushort> _pool;
        private readonly DeviceArray<ushort> _queries;
#pragma warning restore CA2213
        private readonly List<IDisposable> _arrays = [];

        public PagedInput(KernelDevice device, Case c)
        {
            (_device, _case) = (device, c);
            var random = new Random(c.Seed);
            var rows = c.Contexts.Length;
            _blocks = (rows * _maxBlocks) + 2;
            var pages = Enumerable.Range(0, _blocks).ToArray();
            random.Shuffle(pages);
            _table = pages[..(rows * _maxBlocks)];
            var head = BlockTokens * c.HeadDim;
            var values = new ushort[2L * _blocks * c.KvHeads * head];
            Array.Fill(values, (ushort)0x7FC0);
            for (var row = 0; row < rows; row++)
            {
                for (var position = 0; position < c.Contexts[row]; position++)
                {
                    for (var i = 0; i < 2 * c.KvHeads * c.HeadDim; i++)
                    {
                        var (plane, kvHead, element) = (i / (c.KvHeads * c.HeadDim), i / c.HeadDim % c.KvHeads, i % c.HeadDim);
                        values[Place(plane, row, position, kvHead) + element] = BFloat.FromSingle((float)((random.NextDouble() * 4) - 2));
                    }
                }
            }

            _pool = Keep(values);
            _queries = Keep(Enumerable.Range(0, rows * c.QueryHeads * c.HeadDim)
                .Select(_ => BFloat.FromSingle((float)((random.NextDouble() * 4) - 2))).ToArray());
            _sinks = [.. Enumerable.Range(0, c.QueryHeads).Select(_ => (float)((random.NextDouble() * 4) - 2))];
            Out = Keep(new ushort[rows * c.QueryHeads * c.HeadDim]);
        }

        public DeviceArray<ushort> Out { get; }

        public void Launch(KernelLauncher launcher, DecodeWorkPlanner work)
        {
            var rows = _case.Contexts.Length;
            var view = PagedCacheView.Create();
            (view.Dtype, view.NLayers, view.NKvHeads, view.HeadDim) = (1, 1, _case.KvHeads, _case.HeadDim);
            (view.BlockSize, view.NBlocks) = (BlockTokens, _blocks);
            view.Base = _pool.Pointer;
            var arguments = AttentionDecodeArguments.Create();
            (arguments.NRows, arguments.NWork, arguments.NQHeads) = (rows, work.MaxItems, _case.QueryHeads);
            (arguments.MaxBlocks, arguments.Window, arguments.QStride) = (_maxBlocks, _case.Window, _case.QueryHeads * _case.HeadDim);
            arguments.SoftmaxScale = 1 / MathF.Sqrt(_case.HeadDim);
            arguments.WorkCount = Keep(work.Count, work.ChunkTokens).Pointer;
            arguments.WorkRow = Keep(work.Rows).Pointer;
            arguments.WorkChunk = Keep(work.Chunks).Pointer;
            arguments.WorkIndptr = Keep(work.RowStarts).Pointer;
            arguments.Slot = Keep(Enumerable.Range(0, rows).ToArray()).Pointer;
            arguments.ContextLen = Keep(_case.Contexts).Pointer;
            arguments.BlockTable = Keep(_table).Pointer;
            arguments.Sinks = _case.Sinks ? Keep(_sinks).Pointer : null;
            arguments.Q = _queries.Pointer;
            arguments.Out = Out.Pointer;
            arguments.Partial = Keep(new float[work.MaxItems * _case.QueryHeads * (_case.HeadDim + 2)]).Pointer;
            arguments.Tickets = Keep(new int[rows * _case.KvHeads]).Pointer;
            arguments.KvH = &view;
            launcher.AttentionDecode(arguments);
        }

        /// <summary>[row, head, element], in double precision.</summary>
        public float[] Expected()
        {
            var result = new List<float>();
            for (var row = 0; row < _case.Contexts.Length; row++)
            {
                for (var head = 0; head < _case.QueryHeads; head++)
                {
                    result.AddRange(Attend(row, head));
                }
            }

            return [.. result];
        }

        public void Dispose() => _arrays.ForEach(array => array.Dispose());

        private float[] Attend(int row, int head)
        {
            var c = _case;
            var kvHead = head / (c.QueryHeads / c.KvHeads);
            var first = c.Window == 0 ? 0 : Math.Max(0, c.Contexts[row] - c.Window);
            var sum = new double[c.HeadDim];
            var total = c.Sinks ? Math.Exp(_sinks[head]) : 0;
            for (var position = first; position < c.Contexts[row]; position++)
            {
                var score = 0.0;
                for (var i = 0; i < c.HeadDim; i++)
                {
                    score += (double)Number(_queries, (((row * c.QueryHeads) + head) * c.HeadDim) + i) * Number(_pool, Place(0, row, position, kvHead) + i);
                }

                var weight = Math.Exp(score / Math.Sqrt(c.HeadDim));
                total += weight;
                for (var i = 0; i < c.HeadDim; i++)
                {
                    sum[i] += weight * Number(_pool, Place(1, row, position, kvHead) + i);
                }
            }

            return Array.ConvertAll(sum, value => (float)(value / total));
        }

        private static float Number(DeviceArray<ushort> array, int index) => BFloat.ToSingle(array.Pointer[index]);

        /// <summary>[plane, block, head, place, element].</summary>
        private int Place(int plane, int row, int position, int kvHead)
        {
            var block = (plane * _blocks) + _table[(row * _maxBlocks) + (position / BlockTokens)];
            return ((((block * _case.KvHeads) + kvHead) * BlockTokens) + (position % BlockTokens)) * _case.HeadDim;
        }

        private DeviceArray<T> Keep<T>(params T[] values)
            where T : unmanaged
        {
            var array = new DeviceArray<T>(_device, values);
            _arrays.Add(array);
            return array;
        }
    }
}
