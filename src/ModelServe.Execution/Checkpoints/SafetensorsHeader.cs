using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;

namespace ModelServe.Execution.Checkpoints;

/// <summary>Reads and checks the header of a safetensors file: what it returns lies in the file and nowhere twice.</summary>
/// <remarks>
/// Format: 8 bytes length (little endian), that many bytes of JSON <c>{name: {dtype, shape, data_offsets}}</c>, then the data. Offsets
/// count from the data's start; the tensors must tile the data without hole or overlap, to the last byte of the file.
/// </remarks>
internal static class SafetensorsHeader
{
    /// <summary>Largest header, in bytes; the format's reference implementation has the same.</summary>
    public const long MaxBytes = 100_000_000;

    private const int LengthBytes = 8;

    /// <summary>Reads the header of an open file.</summary>
    /// <exception cref="CheckpointException">The header breaks a rule.</exception>
    public static IReadOnlyList<StoredTensor> Read(Microsoft.Win32.SafeHandles.SafeFileHandle file, string name)
    {
        var fileBytes = RandomAccess.GetLength(file);
        Span<byte> lengthBytes = stackalloc byte[LengthBytes];
        if (fileBytes < LengthBytes || RandomAccess.Read(file, lengthBytes, 0) != LengthBytes)
        {
            throw new CheckpointException(name, "file length", "at least 8 bytes", Text(fileBytes));
        }

        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        var limit = Math.Min(MaxBytes, fileBytes - LengthBytes);
        if (headerBytes > (ulong)limit)
        {
            throw new CheckpointException(
                name, "header length", $"at most {Text(limit)} bytes", headerBytes.ToString(CultureInfo.InvariantCulture));
        }

        var header = new byte[headerBytes];
        var read = 0;
        while (read < header.Length)
        {
            var count = RandomAccess.Read(file, header.AsSpan(read), LengthBytes + read);
            if (count == 0)
            {
                throw new CheckpointException(name, "header", $"{header.Length} bytes", $"{read} bytes before the file's end");
            }

            read += count;
        }

        var dataStart = LengthBytes + header.Length;
        var tensors = Parse(header, name, dataStart);
        CheckTiling(tensors, name, dataStart, fileBytes);
        return tensors;
    }

    private static List<StoredTensor> Parse(byte[] header, string file, long dataStart) =>
        CheckpointJson.Read(header, file, "header", root =>
        {
            var tensors = new List<StoredTensor>();
            foreach (var property in root.EnumerateObject())
            {
                if (property.Name != "__metadata__")
                {
                    tensors.Add(ParseTensor(property, file, dataStart));
                }
            }

            return tensors;
        });

    private static StoredTensor ParseTensor(JsonProperty property, string file, long dataStart)
    {
        var name = CheckpointException.Shorten(property.Name);
        if (property.Value.ValueKind != JsonValueKind.Object)
        {
            throw new CheckpointException(file, name, "an object of dtype, shape, data_offsets", property.Value.ValueKind.ToString());
        }

        string? typeText = null;
        long[]? shape = null;
        long[]? offsets = null;
        foreach (var field in property.Value.EnumerateObject())
        {
            switch (field.Name)
            {
                case "dtype":
                    typeText = field.Value.ValueKind == JsonValueKind.String ? field.Value.GetString() : null;
                    break;
                case "shape":
                    shape = ParseCounts(field.Value, file, $"{name}.shape");
                    break;
                case "data_offsets":
                    offsets = ParseCounts(field.Value, file, $"{name}.data_offsets");
                    break;
                default:
                    throw new CheckpointException(
                        file, name, "fields dtype, shape, data_offsets only", CheckpointException.Shorten(field.Name));
            }
        }

        if (!Enum.TryParse<StoredType>(typeText, out var type) || type.ToString() != typeText)
        {
            throw new CheckpointException(
                file, $"{name}.dtype", string.Join(", ", Enum.GetNames<StoredType>()), CheckpointException.Shorten(typeText ?? "none"));
        }

        if (shape is null || offsets is not { Length: 2 })
        {
            throw new CheckpointException(file, name, "a shape and two data_offsets", "fewer or more");
        }

        var bytes = Product(shape, type.Bytes(), file, name);
        if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != bytes)
        {
            throw new CheckpointException(
                file,
                $"{name}.data_offsets",
                $"a range of {Text(bytes)} bytes ({type} × [{string.Join(", ", shape)}])",
                $"[{Text(offsets[0])}, {Text(offsets[1])}]");
        }

        return new StoredTensor(property.Name, type, shape, dataStart + offsets[0], bytes);
    }

    private static long[] ParseCounts(JsonElement element, string file, string field)
    {
        const long limit = 1L << 48;
        if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() > 8)
        {
            throw new CheckpointException(file, field, "an array of at most 8 counts", element.ValueKind.ToString());
        }

        var counts = new long[element.GetArrayLength()];
        for (var i = 0; i < counts.Length; i++)
        {
            if (element[i].ValueKind != JsonValueKind.Number || !element[i].TryGetInt64(out counts[i]) || counts[i] is < 0 or > limit)
            {
                throw new CheckpointException(
                    file, $"{field}[{i}]", $"0..{Text(limit)}", CheckpointException.Shorten(element[i].GetRawText()));
            }
        }

        return counts;
    }

    private static long Product(long[] shape, int elementBytes, string file, string name)
    {
        try
        {
            long bytes = elementBytes;
            foreach (var size in shape)
            {
                bytes = checked(bytes * size);
            }

            return bytes;
        }
        catch (OverflowException exception)
        {
            throw new CheckpointException(
                $"{file}: {name}.shape: a size below 2^63 bytes; got [{string.Join(", ", shape)}]", exception);
        }
    }

    private static void CheckTiling(List<StoredTensor> tensors, string file, long dataStart, long fileBytes)
    {
        tensors.Sort((a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.Bytes.CompareTo(b.Bytes));
        var expected = dataStart;
        foreach (var tensor in tensors)
        {
            if (tensor.Offset != expected)
            {
                throw new CheckpointException(
                    file,
                    $"{CheckpointException.Shorten(tensor.Name)}.data_offsets",
                    $"a start at {Text(expected - dataStart)}, where the tensor before it ends",
                    Text(tensor.Offset - dataStart));
            }

            expected = tensor.Offset + tensor.Bytes;
            if (expected > fileBytes)
            {
                throw new CheckpointException(
                    file,
                    $"{CheckpointException.Shorten(tensor.Name)}.data_offsets",
                    $"an end within the file's {Text(fileBytes - dataStart)} bytes of data",
                    Text(expected - dataStart));
            }
        }

        if (expected != fileBytes)
        {
            throw new CheckpointException(file, "file length", $"{Text(expected)} bytes, the end of the last tensor", Text(fileBytes));
        }
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
