using System.Runtime.InteropServices;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Quantization;

namespace ModelServe.Execution.Loading;

/// <summary>Reads the matrices that are to be quantised and quantises them on the way, a few rows at a time on every thread.</summary>
/// <remarks>What was read is never held whole: each thread keeps <see cref="ScratchBytes"/> at most. While one thread waits for the disk others compute.</remarks>
internal static unsafe class QuantizingReader
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Scratch of one thread for a model's longest row.</summary>
    public static long ScratchBytes(int maxColumns) =>
        PieceBytes + ((long)maxColumns * sizeof(float)) + new QuantizedShape(QuantizedFormat.Int8, 1, maxColumns).PaddedColumns * sizeof(float);

    /// <summary>Fills every quantised matrix of the map.</summary>
    /// <returns>What each of its tensors lost.</returns>
    /// <exception cref="CheckpointException">A file cannot be read, or a weight is not a finite number.</exception>
    public static IReadOnlyList<TensorLoss> Read(Checkpoint checkpoint, WeightMap map, NativeBuffer memory, int threads, LoadMeter meter)
    {
        var slots = map.Slots.Where(slot => slot.Quantized is not null).ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        ClearPadding(map, memory);
        var pieces = new List<Piece>();
        foreach (var file in checkpoint.Files)
        {
            foreach (var tensor in file.Tensors)
            {
                if (slots.TryGetValue(tensor.Name, out var slot))
                {
                    var rows = (int)Math.Max(1, PieceBytes / (tensor.Bytes / slot.Rows));
                    for (var row = 0; row < slot.Rows; row += rows)
                    {
                        pieces.Add(new Piece(file, tensor, slot, row, Math.Min(rows, slot.Rows - row)));
                    }
                }
            }
        }

        var errors = slots.Values.ToDictionary(slot => slot.Name, slot => new TensorError(slot), StringComparer.Ordinal);
        ParallelWork.Run(
            pieces.Count,
            threads,
            () => new Scratch(),
            (i, scratch) =>
            {
                var piece = pieces[i];
                errors[piece.Slot.Name].Add(Quantize(piece, memory, scratch));
                meter.Add(piece.File.Name, piece.Rows * (piece.Tensor.Bytes / piece.Slot.Rows));
            });
        return [.. errors.Values.Select(error => error.Loss).OrderBy(loss => loss.Name, StringComparer.Ordinal)];
    }

    // Rows that fill the last panel up, and columns that fill the last block up, have zero as their scale.
    private static void ClearPadding(WeightMap map, NativeBuffer memory)
    {
        foreach (var (offset, shape) in map.Slots.Where(slot => slot.Quantized is not null)
                     .Select(slot => (slot.Offset, slot.Quantized!.Value.Shape)).Distinct())
        {
            var start = memory.Pointer + offset;
            if (shape.Rows % QuantizedShape.PanelRows != 0)
            {
                NativeMemory.Clear(start + ((shape.Panels - 1) * shape.PanelBytes), (nuint)shape.PanelBytes);
            }

            for (var panel = 1; panel <= shape.Panels && shape.Columns != shape.PaddedColumns; panel++)
            {
                NativeMemory.Clear(start + (panel * shape.PanelBytes) - shape.BlockBytes, (nuint)shape.BlockBytes);
            }
        }
    }

    private static QuantizationError Quantize(in Piece piece, NativeBuffer memory, Scratch scratch)
    {
        var (shape, firstRow) = piece.Slot.Quantized!.Value;
        var rowBytes = (int)(piece.Tensor.Bytes / piece.Slot.Rows);
        var bytes = scratch.Bytes(rowBytes * piece.Rows);
        piece.File.Read(piece.Tensor, (long)piece.FirstRow * rowBytes, bytes);
        var row = scratch.Row(shape.PaddedColumns);
        row[shape.Columns..].Clear();
        QuantizationError error = default;
        fixed (float* source = row)
        {
            for (var i = 0; i < piece.Rows; i++)
            {
                Widen(piece.Tensor.Type, bytes.Slice(i * rowBytes, rowBytes), row[..shape.Columns]);
                var column = RowQuantizer.Quantize(
                    shape, memory.Pointer + piece.Slot.Offset, firstRow + piece.FirstRow + i, source, ref error);
                if (column >= 0)
                {
                    throw new CheckpointException(
                        piece.File.Name, piece.Tensor.Name, "finite numbers, to be quantised", $"{row[column]} in row {piece.FirstRow + i}, column {column}");
                }
            }
        }

        return error;
    }

    private static void Widen(StoredType type, ReadOnlySpan<byte> source, Span<float> target)
    {
        if (type == StoredType.F32)
        {
            MemoryMarshal.Cast<byte, float>(source).CopyTo(target);
        }
        else if (type == StoredType.F16)
        {
            var halves = MemoryMarshal.Cast<byte, Half>(source);
            for (var i = 0; i < halves.Length; i++)
            {
                target[i] = (float)halves[i];
            }
        }
        else
        {
            fixed (byte* from = source)
            fixed (float* to = target)
            {
                BFloatLanes.Widen((ushort*)from, to, target.Length);
            }
        }
    }

    private readonly record struct Piece(SafetensorsFile File, StoredTensor Tensor, WeightSlot Slot, int FirstRow, int Rows);

    /// <summary>What one thread reads into.</summary>
    private sealed class Scratch
    {
        private byte[] _bytes = [];
        private float[] _row = [];

        public Span<byte> Bytes(int count)
        {
            _bytes = _bytes.Length < count ? new byte[count] : _bytes;
            return _bytes.AsSpan(0, count);
        }

        public Span<float> Row(int count)
        {
            _row = _row.Length < count ? new float[count] : _row;
            return _row.AsSpan(0, count);
        }
    }

    /// <summary>Adds up what the pieces of a tensor lost.</summary>
    private sealed class TensorError(WeightSlot slot)
    {
        private readonly Lock _adding = new();
        private QuantizationError _error;

        public TensorLoss Loss => new(slot.Name, slot.Quantized!.Value.Shape.Format, _error.Relative);

        public void Add(in QuantizationError part)
        {
            lock (_adding)
            {
                _error.Add(part);
            }
        }
    }
}
