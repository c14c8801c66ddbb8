using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Memory;

namespace ModelServe.Execution.Quantization;

/// <summary>One file of quantised weights: the weight memory of a model as it lies, a hash for every piece of it, and what was decided while it was made.</summary>
/// <remarks>
/// 8 bytes of magic, 4 of the header's length, 32 of its SHA-256, the header (JSON), then, from the next multiple of 4096 bytes on, the
/// memory. A file counts only when its length and every hash are right. It is written under another name and renamed, so that no
/// reader meets half a file; it is not flushed, because one that a power failure tore is found out by its hashes.
/// </remarks>
internal static unsafe class WeightCacheFile
{
    /// <summary>Raised whenever the same memory would be written or read otherwise.</summary>
    public const int Version = 1;

    private const int PieceBytes = 4 << 20;
    private const int PrefixBytes = 8 + sizeof(int) + SHA256.HashSizeInBytes;
    private const int MostHeaderBytes = 64 << 20;
    private const int Alignment = 4096;

    private static ReadOnlySpan<byte> Magic => "MSWEIGHT"u8;

    /// <summary>Reads the header of an entry.</summary>
    /// <returns>Null if it is not one whole header.</returns>
    public static WeightCacheHeader? ReadHeader(SafeFileHandle file, string key)
    {
        var prefix = new byte[PrefixBytes];
        if (RandomAccess.Read(file, prefix, 0) != PrefixBytes || !prefix.AsSpan(0, 8).SequenceEqual(Magic))
        {
            return null;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(prefix.AsSpan(8));
        if (length is < 2 or > MostHeaderBytes || length > RandomAccess.GetLength(file))
        {
            return null;
        }

        var json = new byte[length];
        if (!ReadAll(file, json, PrefixBytes) || !SHA256.HashData(json).AsSpan().SequenceEqual(prefix.AsSpan(12)))
        {
            return null;
        }

        var header = JsonSerializer.Deserialize(json, WeightCacheJson.Default.WeightCacheHeader);
        return header is not null && header.Key == key && header.Hashes.Count == Pieces(header.Bytes) &&
            RandomAccess.GetLength(file) == DataStart(length) + header.Bytes
            ? header with { DataStart = DataStart(length) }
            : null;
    }

    /// <summary>Fills the memory, checking every piece.</summary>
    /// <returns>False if any is not what was written.</returns>
    public static bool ReadData(SafeFileHandle file, WeightCacheHeader header, NativeBuffer memory, int threads, LoadMeter meter)
    {
        var isSound = true;
        ParallelWork.Run(
            header.Hashes.Count,
            threads,
            () => new byte[SHA256.HashSizeInBytes],
            (i, hash) =>
            {
                var piece = Piece(memory, header.Bytes, i);
                if (!Volatile.Read(ref isSound) || !ReadAll(file, piece, header.DataStart + ((long)i * PieceBytes)))
                {
                    Volatile.Write(ref isSound, false);
                    return;
                }

                SHA256.HashData(piece, hash);
                if (!hash.AsSpan().SequenceEqual(Convert.FromHexString(header.Hashes[i])))
                {
                    Volatile.Write(ref isSound, false);
                }

                meter.Add(Path.GetFileName(header.Key), piece.Length);
            });
        return isSound;
    }

    /// <summary>Writes an entry into an open, empty file.</summary>
    /// <exception cref="IOException">The disk is full, or something else is wrong with it.</exception>
    public static void Write(SafeFileHandle file, WeightCacheHeader header, NativeBuffer memory, int threads)
    {
        // Hashes are of one length, so the header's length is known before they are.
        var hashes = new string[Pieces(header.Bytes)];
        Array.Fill(hashes, new string('0', 2 * SHA256.HashSizeInBytes));
        var start = DataStart(Json(header, hashes).Length);
        ParallelWork.Run(
            hashes.Length,
            threads,
            () => 0,
            (i, _) =>
            {
                var piece = Piece(memory, header.Bytes, i);
                hashes[i] = Convert.ToHexStringLower(SHA256.HashData(piece));
                RandomAccess.Write(file, piece, start + ((long)i * PieceBytes));
            });
        var json = Json(header, hashes);
        var prefix = new byte[PrefixBytes];
        Magic.CopyTo(prefix);
        BinaryPrimitives.WriteInt32LittleEndian(prefix.AsSpan(8), json.Length);
        SHA256.HashData(json, prefix.AsSpan(12));
        RandomAccess.Write(file, prefix, 0);
        RandomAccess.Write(file, json, PrefixBytes);
    }

    private static byte[] Json(WeightCacheHeader header, string[] hashes) =>
        JsonSerializer.SerializeToUtf8Bytes(header with { Hashes = hashes }, WeightCacheJson.Default.WeightCacheHeader);

    private static Span<byte> Piece(NativeBuffer memory, long bytes, int index)
    {
        var start = (long)index * PieceBytes;
        return new Span<byte>(memory.Pointer + start, (int)Math.Min(PieceBytes, bytes - start));
    }

    private static int Pieces(long bytes) => (int)((bytes + PieceBytes - 1) / PieceBytes);

    private static long DataStart(int headerBytes) => (PrefixBytes + headerBytes + Alignment - 1) / Alignment * Alignment;

    private static bool ReadAll(SafeFileHandle file, Span<byte> target, long offset)
    {
        while (target.Length > 0)
        {
            var count = RandomAccess.Read(file, target, offset);
            if (count == 0)
            {
                return false;
            }

            target = target[count..];
            offset += count;
        }

        return true;
    }
}
