using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelServe.Trainer.Model;

/// <summary>Writes and reads the two safetensors dtypes that the trainer uses: BF16 for the product, F32 for its state.</summary>
internal static class Safetensors
{
    public static void Write(string path, IReadOnlyDictionary<string, Tensor> tensors, bool bfloat16)
    {
        JsonObject header = new() { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
        List<byte[]> blobs = [];
        long offset = 0;
        foreach ((string name, Tensor tensor) in tensors)
        {
            byte[] blob = Bytes(tensor, bfloat16);
            header[name] = new JsonObject
            {
                ["dtype"] = bfloat16 ? "BF16" : "F32",
                ["shape"] = new JsonArray([.. tensor.shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(offset, offset + blob.Length),
            };
            blobs.Add(blob);
            offset += blob.Length;
        }

        string json = header.ToJsonString();
        byte[] head = Encoding.UTF8.GetBytes(json.PadRight((json.Length + 7) / 8 * 8));
        string partial = path + ".part";
        using (FileStream file = File.Create(partial))
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteInt64LittleEndian(length, head.Length);
            file.Write(length);
            file.Write(head);
            foreach (byte[] blob in blobs)
            {
                file.Write(blob);
            }
        }

        File.Move(partial, path, overwrite: true);
    }

    /// <summary>Copies every tensor of the file into the weight of the same name.</summary>
    public static void ReadInto(string path, IReadOnlyDictionary<string, Tensor> weights)
    {
        byte[] file = File.ReadAllBytes(path);
        int headLength = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        JsonObject header = JsonSerializer.Deserialize<JsonObject>(file.AsSpan(8, headLength))!;
        using DisposeScope scope = NewDisposeScope();
        using IDisposable guard = no_grad();
        foreach ((string name, Tensor weight) in weights)
        {
            JsonNode entry = header[name] ?? throw new InvalidDataException($"{path} has no tensor {name}");
            int begin = 8 + headLength + (int)entry["data_offsets"]![0]!.GetValue<long>();
            bool bfloat16 = entry["dtype"]!.GetValue<string>() == "BF16";
            float[] values = new float[weight.numel()];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = bfloat16
                    ? BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(begin + (2 * i))) << 16)
                    : BinaryPrimitives.ReadSingleLittleEndian(file.AsSpan(begin + (4 * i)));
            }

            weight.copy_(tensor(values).reshape(weight.shape));
        }
    }

    private static byte[] Bytes(Tensor tensor, bool bfloat16)
    {
        float[] values = tensor.detach().flatten().data<float>().ToArray();
        byte[] bytes = new byte[values.Length * (bfloat16 ? 2 : 4)];
        for (int i = 0; i < values.Length; i++)
        {
            if (bfloat16)
            {
                // Round to nearest, ties to even.
                uint bits = BitConverter.SingleToUInt32Bits(values[i]);
                bits += 0x7FFF + ((bits >> 16) & 1);
                BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), (ushort)(bits >> 16));
            }
            else
            {
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), values[i]);
            }
        }

        return bytes;
    }
}
