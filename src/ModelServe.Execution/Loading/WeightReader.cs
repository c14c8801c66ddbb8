using System.Runtime.InteropServices;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Loading;

/// <summary>Streams a checkpoint's tensors to their places in the weight memory, converting their type on the way.</summary>
/// <remarks>
/// Shard by shard in the order of the bytes, so that the disk reads forward; one chunk of scratch is all it holds besides the
/// destination. A tensor whose type does not change is read straight into place.
/// </remarks>
internal static class WeightReader
{
    /// <summary>Bytes of scratch.</summary>
    public const int ChunkBytes = 8 << 20;

    /// <summary>Reads every tensor that the map names and does not quantise; the map has been checked against the checkpoint.</summary>
    /// <exception cref="CheckpointException">A file cannot be read.</exception>
    public static void Read(Checkpoint checkpoint, WeightMap map, NativeBuffer memory, LoadMeter meter)
    {
        var slots = map.Slots.Where(slot => slot.Quantized is null).ToDictionary(slot => slot.Name, StringComparer.Ordinal);
        var scratch = new byte[ChunkBytes];
        foreach (var file in checkpoint.Files)
        {
            foreach (var tensor in file.Tensors)
            {
                if (slots.TryGetValue(tensor.Name, out var slot))
                {
                    for (var start = 0L; start < tensor.Bytes; start += ChunkBytes)
                    {
                        var count = (int)Math.Min(ChunkBytes, tensor.Bytes - start);
                        ReadChunk(file, tensor, slot, memory, start, scratch.AsSpan(0, count));
                        meter.Add(file.Name, count);
                    }
                }
            }
        }
    }

    private static unsafe void ReadChunk(
        SafetensorsFile file, StoredTensor tensor, WeightSlot slot, NativeBuffer memory, long start, Span<byte> scratch)
    {
        var target = memory.Pointer + slot.Offset + (start / tensor.Type.Bytes() * slot.Type.Bytes());
        ReadChunk(file, tensor, slot.Type, start, scratch, target);
    }

    /// <summary>Reads bytes [<paramref name="start"/>, start + scratch.Length) of a tensor and writes its elements, as that type, at the target.</summary>
    /// <exception cref="CheckpointException">The file cannot be read.</exception>
    public static unsafe void ReadChunk(
        SafetensorsFile file, StoredTensor tensor, ElementType type, long start, Span<byte> scratch, byte* target)
    {
        var count = scratch.Length / tensor.Type.Bytes();
        switch (tensor.Type, type)
        {
            case (StoredType.F32, ElementType.Float32):
            case (StoredType.BF16, ElementType.BFloat16):
                file.Read(tensor, start, new Span<byte>(target, scratch.Length));
                return;
            case (StoredType.BF16, _):
                file.Read(tensor, start, scratch);
                Widen(MemoryMarshal.Cast<byte, ushort>(scratch), new Span<float>(target, count));
                return;
            case (StoredType.F16, ElementType.Float32):
                file.Read(tensor, start, scratch);
                WidenHalf(MemoryMarshal.Cast<byte, Half>(scratch), new Span<float>(target, count));
                return;
            case (StoredType.F32, _):
                file.Read(tensor, start, scratch);
                Narrow(MemoryMarshal.Cast<byte, float>(scratch), new Span<ushort>(target, count));
                return;
            default:
                file.Read(tensor, start, scratch);
                NarrowHalf(MemoryMarshal.Cast<byte, Half>(scratch), new Span<ushort>(target, count));
                return;
        }
    }

    private static void Widen(ReadOnlySpan<ushort> source, Span<float> target)
    {
        for (var i = 0; i < source.Length; i++)
        {
            target[i] = BFloat.ToSingle(source[i]);
        }
    }

    private static void WidenHalf(ReadOnlySpan<Half> source, Span<float> target)
    {
        for (var i = 0; i < source.Length; i++)
        {
            target[i] = (float)source[i];
        }
    }

    private static void Narrow(ReadOnlySpan<float> source, Span<ushort> target)
    {
        for (var i = 0; i < source.Length; i++)
        {
            target[i] = BFloat.FromSingle(source[i]);
        }
    }

    private static void NarrowHalf(ReadOnlySpan<Half> source, Span<ushort> target)
    {
        for (var i = 0; i < source.Length; i++)
        {
            target[i] = BFloat.FromSingle((float)source[i]);
        }
    }
}
