using System.Buffers.Binary;
using System.Text.Json.Nodes;

namespace ModelServe.Execution.Tests.Models;

/// <summary>Writes safetensors files, right ones and, by way of its parts, wrong ones.</summary>
public static class SafetensorsWriter
{
    /// <summary>A file of the given header and data.</summary>
    public static byte[] File(string header, byte[] data)
    {
        var headerBytes = System.Text.Encoding.UTF8.GetBytes(header);
        var file = new byte[8 + headerBytes.Length + data.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(file, (ulong)headerBytes.Length);
        headerBytes.CopyTo(file, 8);
        data.CopyTo(file, 8 + headerBytes.Length);
        return file;
    }

    /// <summary>Writes tensors one after the other.</summary>
    public static void Write(string path, IEnumerable<(string Name, int[] Shape, float[] Values)> tensors, string type)
    {
        var header = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        using var data = new MemoryStream();
        foreach (var (name, shape, values) in tensors)
        {
            var start = data.Length;
            foreach (var value in values)
            {
                data.Write(Encode(value, type));
            }

            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. shape.Select(size => JsonValue.Create(size))]),
                ["data_offsets"] = new JsonArray(start, data.Length),
            };
        }

        System.IO.File.WriteAllBytes(path, File(header.ToJsonString(), data.ToArray()));
    }

    /// <summary>The value that a file of this type keeps.</summary>
    public static float Round(float value, string type) => type switch
    {
        "BF16" => BitConverter.UInt32BitsToSingle((uint)BFloat16Bits(value) << 16),
        "F16" => (float)(Half)value,
        _ => value,
    };

    private static byte[] Encode(float value, string type) => type switch
    {
        "BF16" => BitConverter.GetBytes(BFloat16Bits(value)),
        "F16" => BitConverter.GetBytes((Half)value),
        _ => BitConverter.GetBytes(value),
    };

    private static ushort BFloat16Bits(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        var kept = bits >> 16;
        var rest = bits & 0xFFFF;
        return (ushort)(rest > 0x8000 || (rest == 0x8000 && (kept & 1) == 1) ? kept + 1 : kept);
    }
}
