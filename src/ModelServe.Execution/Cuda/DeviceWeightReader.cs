using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Runtime.ExceptionServices;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cuda;

/// <summary>Streams a checkpoint's tensors to a device: several threads read chunks into pinned memory while earlier chunks are copied.</summary>
/// <remarks>
/// Files are read, not mapped: a mapping would fault in every page on one thread and copy it once more. Readers fill a ring of
/// pinned chunks, converted to the type of their place; one thread, the caller's, submits the copies and gives a chunk back to the
/// readers when its event has passed. Weights and vectors all lie in one block of the device.
/// </remarks>
internal sealed unsafe class DeviceWeightReader : IDisposable
{
    /// <summary>Bytes of a chunk as it lies in the file.</summary>
    public const int ChunkBytes = 2 << 20;

    // Widening is impossible here, so a chunk never grows on the way.
    private const int ChunksPerThread = 3;
    private const int MostThreads = 8;

    private readonly KernelDevice _device;
    private readonly KernelStream _stream;
    private readonly KernelLauncher _launcher;
    private readonly List<Piece> _pieces;
    private readonly byte* _wide;
    private readonly Chunk[] _chunks;
    private readonly BlockingCollection<Chunk> _free = [];
    private readonly BlockingCollection<Chunk> _full = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly int _threads;
    private Exception? _failure;
    private int _next = -1;
    private long _readTicks;
    private double _copyMilliseconds;
    private long _waitForFilesTicks;
    private long _waitForCopiesTicks;

    private DeviceWeightReader(KernelDevice device, KernelStream stream, List<Piece> pieces, int threads)
    {
        (_device, _stream, _pieces) = (device, stream, pieces);
        _launcher = new KernelLauncher(device, stream);
        if (pieces.Exists(piece => piece.IsQuantised))
        {
            // One place is enough: the stream quantises a chunk before the next one arrives.
            _wide = (byte*)device.Allocate(ChunkBytes);
        }

        _threads = Math.Clamp(Math.Min(threads, MostThreads), 1, Math.Max(1, pieces.Count));
        _chunks = new Chunk[_threads * ChunksPerThread];
        for (var i = 0; i < _chunks.Length; i++)
        {
            _chunks[i] = new Chunk(device);
            _free.Add(_chunks[i]);
        }
    }

    /// <summary>Reads every tensor that the map names; the map has been checked against the checkpoint.</summary>
    /// <returns>How fast it went, in a sentence.</returns>
    /// <exception cref="CheckpointException">A file cannot be read.</exception>
    /// <exception cref="KernelException">A copy failed.</exception>
    public static IReadOnlyList<string> Read(
        Checkpoint checkpoint, WeightMap map, CudaResources resources, int threads, IProgress<LoadProgress>? progress) =>
        Read(checkpoint, map, resources.Device, resources.Stream, resources.Weights, threads, progress);

    /// <summary>Reads every tensor that the map names to a block of the device.</summary>
    public static IReadOnlyList<string> Read(
        Checkpoint checkpoint, WeightMap map, KernelDevice device, KernelStream stream, byte* weights, int threads, IProgress<LoadProgress>? progress)
    {
        var pieces = Cut(checkpoint, map);
        using var reader = new DeviceWeightReader(device, stream, pieces, threads);
        return [reader.Run(weights, new LoadMeter(pieces.Sum(piece => (long)piece.Bytes), progress))];
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var chunk in _chunks)
        {
            chunk.Dispose();
        }

        if (_wide != null)
        {
            _device.Free(_wide);
        }

        _free.Dispose();
        _full.Dispose();
        _stop.Dispose();
    }

    private static List<Piece> Cut(Checkpoint checkpoint, WeightMap map)
    {
        var slots = map.Slots.ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        var pieces = new List<Piece>();
        foreach (var file in checkpoint.Files)
        {
            foreach (var tensor in file.Tensors)
            {
                if (slots.TryGetValue(tensor.Name, out var slot))
                {
                    var most = slot.Scales is null ? ChunkBytes : WholeRows(tensor, slot);
                    for (var start = 0L; start < tensor.Bytes; start += most)
                    {
                        pieces.Add(new Piece(file, tensor, slot, start, (int)Math.Min(most, tensor.Bytes - start)));
                    }
                }
            }
        }

        return pieces;
    }

    private static int WholeRows(StoredTensor tensor, WeightSlot slot)
    {
        var row = tensor.Bytes / slot.Rows;
        return row <= ChunkBytes
            ? (int)(ChunkBytes / row * row)
            : throw new ModelLoadException($"{tensor.Name}: a row of a quantised weight has at most {ChunkBytes} bytes; has {row}");
    }

    private void Place(Chunk chunk, byte* weights)
    {
        var piece = chunk.Piece!;
        if (!piece.IsQuantised)
        {
            _stream.CopyToDevice(weights + piece.Target, chunk.Data, piece.TargetBytes);
            return;
        }

        _stream.CopyToDevice(_wide, chunk.Data, (long)piece.Elements * sizeof(ushort));
        var columns = piece.Slot.Columns!.Value;
        var arguments = QuantFp8Arguments.Create();
        arguments.NRows = piece.Elements / columns;
        arguments.Columns = columns;
        arguments.X = _wide;
        arguments.Out = weights + piece.Target;
        arguments.Scale = (float*)(weights + piece.Slot.Scales!.Value) + (piece.FirstElement / columns);
        _launcher.QuantFp8(arguments);
    }

    private string Run(byte* weights, LoadMeter meter)
    {
        var watch = Stopwatch.StartNew();
        var copying = new Queue<Chunk>(_chunks.Length);
        var readers = new Thread[_threads];
        for (var i = 0; i < _threads; i++)
        {
            readers[i] = new Thread(ReadPieces) { IsBackground = true, Name = "modelserve weight reader" };
            readers[i].Start();
        }

        try
        {
            for (var copied = 0; copied < _pieces.Count; copied++)
            {
                var start = Stopwatch.GetTimestamp();
                var chunk = _full.Take(_stop.Token);
                _waitForFilesTicks += Stopwatch.GetTimestamp() - start;
                var piece = chunk.Piece!;
                chunk.Begun.Record(_stream);
                Place(chunk, weights);
                chunk.Copied.Record(_stream);
                copying.Enqueue(chunk);
                meter.Add(piece.File.Name, piece.Bytes);

                // Half of the ring copies while the other half is read.
                while (copying.Count > _chunks.Length / 2 || (copying.Count > 0 && copying.Peek().Copied.HasPassed))
                {
                    Finish(copying.Dequeue());
                }
            }

            while (copying.TryDequeue(out var last))
            {
                Finish(last);
            }
        }
        catch (OperationCanceledException) when (_failure is not null)
        {
            ExceptionDispatchInfo.Throw(_failure);
        }
        finally
        {
            _stop.Cancel();
            Array.ForEach(readers, reader => reader.Join());
            _stream.Synchronize();
        }

        return Describe(watch.Elapsed);
    }

    private void Finish(Chunk chunk)
    {
        var start = Stopwatch.GetTimestamp();
        chunk.Copied.Synchronize();
        _waitForCopiesTicks += Stopwatch.GetTimestamp() - start;
        _copyMilliseconds += chunk.Begun.MillisecondsTo(chunk.Copied);
        _free.Add(chunk);
    }

    /// <summary>The rate of each stage, and who waited for whom: the longer wait names the bottleneck.</summary>
    private string Describe(TimeSpan elapsed)
    {
        var read = _pieces.Sum(piece => (double)piece.Bytes);
        var seconds = Math.Max(elapsed.TotalSeconds, 1e-6);
        var reading = Math.Max((double)_readTicks / Stopwatch.Frequency, 1e-6);
        // A stand-in without a clock copies in no time.
        var copying = _copyMilliseconds > 0 ? string.Create(CultureInfo.InvariantCulture, $"{read / 1e6 / _copyMilliseconds:0.00} GB/s") : "not timed";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"weights on the device: {read / 1e9:0.000} GB in {seconds:0.000} s, {read / 1e9 / seconds:0.00} GB/s; reading and converting {read / 1e9 / reading:0.00} GB/s a thread, {_threads} threads; " +
            $"copying {copying}; waited {(double)_waitForFilesTicks / Stopwatch.Frequency:0.000} s for files, {(double)_waitForCopiesTicks / Stopwatch.Frequency:0.000} s for copies");
    }

    private void ReadPieces()
    {
        var scratch = new byte[ChunkBytes];
        try
        {
            for (var i = Interlocked.Increment(ref _next); i < _pieces.Count; i = Interlocked.Increment(ref _next))
            {
                var chunk = _free.Take(_stop.Token);
                var piece = _pieces[i];
                var start = Stopwatch.GetTimestamp();
                WeightReader.ReadChunk(piece.File, piece.Tensor, piece.TypeOnTheWay, piece.Start, scratch.AsSpan(0, piece.Bytes), chunk.Data);
                if (piece.IsQuantised)
                {
                    RequireFinite(piece, new ReadOnlySpan<ushort>(chunk.Data, piece.Elements));
                }

                Interlocked.Add(ref _readTicks, Stopwatch.GetTimestamp() - start);
                chunk.Piece = piece;
                _full.Add(chunk);
            }
        }
        catch (OperationCanceledException)
        {
            // Another thread failed; it has said why.
        }
#pragma warning disable CA1031 // Thrown again on the thread that asked for the weights.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Interlocked.CompareExchange(ref _failure, exception, null);
            _stop.Cancel();
        }
    }

    // One number that is not finite would make its whole row none.
    private static void RequireFinite(Piece piece, ReadOnlySpan<ushort> values)
    {
        const ushort Exponent = 0x7F80;
        var lanes = Vector<ushort>.Count;
        var i = 0;
        while (i + lanes <= values.Length && !Vector.EqualsAny(new Vector<ushort>(values[i..]) & new Vector<ushort>(Exponent), new Vector<ushort>(Exponent)))
        {
            i += lanes;
        }

        for (; i < values.Length; i++)
        {
            if ((values[i] & Exponent) == Exponent)
            {
                var (row, column) = Math.DivRem(piece.FirstElement + i, piece.Slot.Columns!.Value);
                throw new CheckpointException(
                    piece.File.Name, piece.Tensor.Name, "finite numbers, to be quantised", $"{BFloat.ToSingle(values[i])} in row {row}, column {column}");
            }
        }
    }

    private sealed record Piece(SafetensorsFile File, StoredTensor Tensor, WeightSlot Slot, long Start, int Bytes)
    {
        public bool IsQuantised => Slot.Scales is not null;

        public ElementType TypeOnTheWay => IsQuantised ? ElementType.BFloat16 : Slot.Type;

        public int Elements => Bytes / Tensor.Type.Bytes();

        public long FirstElement => Start / Tensor.Type.Bytes();

        public long Target => Slot.Offset + (FirstElement * Slot.Type.Bytes());

        public long TargetBytes => (long)Elements * Slot.Type.Bytes();
    }

    /// <summary>One place of the ring.</summary>
    private sealed class Chunk(KernelDevice device) : IDisposable
    {
        public byte* Data { get; } = (byte*)device.AllocatePinned(ChunkBytes);

        public KernelEvent Begun { get; } = new(device, timing: true);

        public KernelEvent Copied { get; } = new(device, timing: true);

        public Piece? Piece { get; set; }

        public void Dispose()
        {
            device.FreePinned(Data);
            Begun.Dispose();
            Copied.Dispose();
        }
    }
}
