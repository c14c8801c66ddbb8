using System.Text.Json.Nodes;

namespace ModelServe.Execution.Tests.Models;

/// <summary>A model directory with random weights, and the same weights as the reference forward pass reads them.</summary>
public sealed class RandomCheckpoint : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("modelserve-random-");

    /// <summary>Writes a checkpoint of the given type in that many shards.</summary>
    public RandomCheckpoint(TinyModel model, int seed = 1, string type = "F32", int shards = 1)
    {
        Model = model;
        var random = new Random(seed);
        var tensors = model.Tensors()
            .Select(tensor => (tensor.Name, tensor.Shape, Values: Fill(random, tensor.Name, tensor.Shape, type)))
            .ToArray();
        Weights = tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Values, StringComparer.Ordinal);
        File.WriteAllText(Path.Combine(Folder, "config.json"), model.Config().ToJsonString());
        if (shards == 1)
        {
            SafetensorsWriter.Write(Path.Combine(Folder, "model.safetensors"), tensors, type);
            return;
        }

        var map = new JsonObject();
        for (var shard = 0; shard < shards; shard++)
        {
            var name = $"model-{shard + 1:D5}-of-{shards:D5}.safetensors";
            var part = tensors.Where((_, i) => i % shards == shard).ToArray();
            SafetensorsWriter.Write(Path.Combine(Folder, name), part, type);
            foreach (var tensor in part)
            {
                map[tensor.Name] = name;
            }
        }

        File.WriteAllText(
            Path.Combine(Folder, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    /// <summary>Its shape.</summary>
    public TinyModel Model { get; }

    /// <summary>The directory.</summary>
    public string Folder => _folder.FullName;

    /// <summary>Every tensor by name, row-major, as the file holds it.</summary>
    public IReadOnlyDictionary<string, float[]> Weights { get; }

    public void Dispose() => _folder.Delete(recursive: true);

    private static float[] Fill(Random random, string name, int[] shape, string type)
    {
        // Gains near one, biases small, matrices that keep a unit variance: then logits differ by tenths and greedy choices are clear.
        var norm = name.Contains("norm", StringComparison.Ordinal);
        var deviation = norm ? 0.2 : shape.Length == 1 ? 0.3 : name.Contains("embed", StringComparison.Ordinal) ? 0.5 : 1 / Math.Sqrt(shape[1]);
        var values = new float[shape.Aggregate(1, (product, size) => product * size)];
        for (var i = 0; i < values.Length; i++)
        {
            var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            values[i] = SafetensorsWriter.Round((float)((norm ? 1 : 0) + (normal * deviation)), type);
        }

        return values;
    }
}
