using System.Buffers.Binary;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Checkpoints;

/// <summary>A damaged or hostile file is refused before a byte of data is used, with a message that names what is wrong.</summary>
public sealed class SafetensorsFileTests
{
    private const string TwoTensors =
        """{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]}}""";

    private static readonly byte[] TwoTensorsData = [.. Enumerable.Range(0, 24).Select(i => (byte)i)];

    [Fact]
    public void A_right_file_yields_its_tensors_and_their_bytes()
    {
        using var folder = new TemporaryFolder();
        using var file = SafetensorsFile.Open(folder.Write("m.safetensors", SafetensorsWriter.File(TwoTensors, TwoTensorsData)));
        Assert.Equal(["a", "b"], file.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([2L, 2L], file.Tensors[0].Shape);
        Assert.Equal(StoredType.BF16, file.Tensors[1].Type);
        var bytes = new byte[6];
        file.Read(file.Tensors[1], 2, bytes);
        Assert.Equal(TwoTensorsData[18..24], bytes);
    }

    [Fact]
    public void Metadata_and_empty_tensors_and_scalars_are_allowed()
    {
        using var folder = new TemporaryFolder();
        var header = """
            {"__metadata__":{"format":"pt"},"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}
            """;
        using var file = SafetensorsFile.Open(folder.Write("m.safetensors", SafetensorsWriter.File(header, new byte[8])));
        Assert.Equal([0L, 8L], file.Tensors.Select(tensor => tensor.Bytes));
    }

    [Fact]
    public void A_file_truncated_anywhere_is_refused()
    {
        using var folder = new TemporaryFolder();
        var whole = SafetensorsWriter.File(TwoTensors, TwoTensorsData);
        for (var length = 0; length < whole.Length; length++)
        {
            var path = folder.Write("m.safetensors", whole[..length]);
            var refusal = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));
            Assert.Contains("m.safetensors", refusal.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 63)]
    [InlineData(100_000_001UL)]
    [InlineData(117UL)]
    public void A_header_length_beyond_the_file_or_the_cap_is_refused_and_named(ulong length)
    {
        using var folder = new TemporaryFolder();
        var file = SafetensorsWriter.File("{}", new byte[100]);
        BinaryPrimitives.WriteUInt64LittleEndian(file, length);
        var refusal = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(folder.Write("m.safetensors", file)));
        Assert.Equal($"m.safetensors: header length: at most 102 bytes; got {length}", refusal.Message);
    }

    [Theory]
    [InlineData("{", "header")]
    [InlineData("[]", "a JSON object")]
    [InlineData("\u0001", "header")]
    [InlineData("""{"a":1}""", "an object of dtype, shape, data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "duplicate")]
    [InlineData("""{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "duplicate")]
    [InlineData("""{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}""", "a.dtype")]
    [InlineData("""{"a":{"dtype":"2","shape":[2],"data_offsets":[0,8]}}""", "a.dtype")]
    [InlineData("""{"a":{"dtype":7,"shape":[2],"data_offsets":[0,8]}}""", "a.dtype")]
    [InlineData("""{"a":{"shape":[2],"data_offsets":[0,8]}}""", "a.dtype")]
    [InlineData("""{"a":{"dtype":"F32","data_offsets":[0,8]}}""", "a shape and two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2]}}""", "a shape and two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}}""", "two data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}""", "more")]
    [InlineData("""{"a":{"dtype":"F32","shape":"2","data_offsets":[0,8]}}""", "a.shape")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "a.shape[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "a.shape[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,8]}}""", "a.shape[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[281474976710656,281474976710656],"data_offsets":[0,8]}}""", "2^63")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "a range of 12 bytes")]
    [InlineData("""{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}}""", "a range of 4 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "a.data_offsets")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", "a.data_offsets[0]")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "a start at 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "file length")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[6,8]}}""", "a start at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}""", "a start at 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}""", "an end within")]
    public void A_header_that_breaks_a_rule_is_refused_and_named(string header, string part)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("m.safetensors", SafetensorsWriter.File(header, new byte[8]));
        var refusal = Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path));
        Assert.Contains("m.safetensors", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(part, refusal.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void A_hostile_name_is_cut_in_the_message()
    {
        using var folder = new TemporaryFolder();
        var header = $$$"""{"{{{new string('x', 5000)}}}":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""";
        var path = folder.Write("m.safetensors", SafetensorsWriter.File(header, new byte[8]));
        Assert.True(Assert.Throws<CheckpointException>(() => SafetensorsFile.Open(path)).Message.Length < 300);
    }

    [Fact]
    public void A_read_beyond_the_tensor_is_refused()
    {
        using var folder = new TemporaryFolder();
        using var file = SafetensorsFile.Open(folder.Write("m.safetensors", SafetensorsWriter.File(TwoTensors, TwoTensorsData)));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.Read(file.Tensors[0], 12, new byte[8]));
    }

    [Fact]
    public void Random_damage_to_a_header_never_escapes_as_another_exception()
    {
        using var folder = new TemporaryFolder();
        var whole = SafetensorsWriter.File(TwoTensors, TwoTensorsData);
        var random = new Random(5);
        for (var round = 0; round < 500; round++)
        {
            var damaged = (byte[])whole.Clone();
            for (var hits = random.Next(1, 4); hits > 0; hits--)
            {
                damaged[random.Next(whole.Length - TwoTensorsData.Length)] = (byte)random.Next(256);
            }

            var path = folder.Write("m.safetensors", damaged);
            try
            {
                using var file = SafetensorsFile.Open(path);
                var end = file.Tensors.Count == 0 ? 0 : file.Tensors.Max(tensor => tensor.Offset + tensor.Bytes);
                Assert.True(end <= damaged.Length);
            }
            catch (CheckpointException refusal)
            {
                Assert.Contains("m.safetensors", refusal.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData(0f, 0)]
    [InlineData(1f, 0x3F80)]
    [InlineData(1.00390625f, 0x3F80)]
    [InlineData(1.01171875f, 0x3F82)]
    [InlineData(3.4e38f, 0x7F80)]
    [InlineData(float.NegativeInfinity, 0xFF80)]
    public void Bfloat16_rounds_to_nearest_even(float value, int bits) =>
        Assert.Equal(bits, ModelServe.Execution.Operations.BFloat.FromSingle(value));

    [Fact]
    public void Bfloat16_keeps_not_a_number() =>
        Assert.True(float.IsNaN(ModelServe.Execution.Operations.BFloat.ToSingle(
            ModelServe.Execution.Operations.BFloat.FromSingle(BitConverter.UInt32BitsToSingle(0x7F800001)))));

    [Fact]
    public void The_stored_sizes_are_those_of_the_format() =>
        Assert.Equal(
            [2, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 1, 1],
            Enum.GetValues<StoredType>().Select(type => type.Bytes()));
}
