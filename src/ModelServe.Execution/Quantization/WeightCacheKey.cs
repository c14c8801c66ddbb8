using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Native;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Quantization;

/// <summary>Names the quantised weights of one checkpoint: other weights, formats or quantisers have other names.</summary>
/// <remarks>
/// Of each weight file go in: its header, <see cref="Samples"/> pieces of its contents, its length, and what the system knows it by:
/// file system, inode, time of modification and time of change. Hashing the whole contents would cost more than quantising them
/// does, and on a cold start it would read all that the cache is there to leave unread. Whoever changes a file in place, or puts
/// another there, changes the last of these times, which no program can set; a copy merely has a name of its own.
/// </remarks>
internal static class WeightCacheKey
{
    private const int Samples = 64;
    private const int SampleBytes = 4096;

    /// <summary>The name, 64 hexadecimal digits.</summary>
    /// <exception cref="CheckpointException">A file cannot be read or is gone.</exception>
    public static string Of(string directory, Checkpoint checkpoint, ModelConfig config, ElementType type, WeightQuantization asked)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, $"quantiser {RowQuantizer.Version}, layout {WeightCacheFile.Version}, groups of {QuantizedShape.GroupColumns}");
        Add(hash, $"{asked.Format}, head {asked.Head}, others {type}, {config}");
        foreach (var file in checkpoint.Files)
        {
            var status = FileStatus.Of(Path.Combine(directory, file.Name), follow: true)
                ?? throw new CheckpointException(file.Name, "file", "still there", "no such file");
            Add(hash, $"{file.Name} {status.Device} {status.Inode} {status.Bytes} {status.Modified} {status.Changed}");
            var sample = new byte[SampleBytes];
            foreach (var tensor in file.Tensors)
            {
                Add(hash, $"{tensor.Name} {tensor.Type} {tensor.ShapeText} {tensor.Offset}");
            }

            for (var i = 0; i < Samples; i++)
            {
                var tensor = file.Tensors[(int)((long)file.Tensors.Count * i / Samples)];
                var count = (int)Math.Min(SampleBytes, tensor.Bytes);
                file.Read(tensor, (tensor.Bytes - count) / Samples * i, sample.AsSpan(0, count));
                hash.AppendData(sample.AsSpan(0, count));
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Add(IncrementalHash hash, FormattableString text) =>
        hash.AppendData(Encoding.UTF8.GetBytes(text.ToString(CultureInfo.InvariantCulture) + "\n"));
}
