using System.Text.Json;

namespace ModelServe.Execution.Checkpoints;

/// <summary>The weight files of one model directory: a single safetensors file, or the shards that an index names.</summary>
internal sealed class Checkpoint : IDisposable
{
    /// <summary>Name of an unsharded weight file.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Name of the index of a sharded one.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private static readonly string[] RefusedFormats = [".bin", ".pt", ".pth", ".pkl", ".ckpt", ".h5", ".msgpack", ".gguf"];

    private Checkpoint(IReadOnlyList<SafetensorsFile> files, IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        Files = files;
        Tensors = tensors;
    }

    /// <summary>The open files.</summary>
    public IReadOnlyList<SafetensorsFile> Files { get; }

    /// <summary>All tensors by name.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>Bytes of all tensors.</summary>
    public long Bytes => Tensors.Values.Sum(tensor => tensor.Bytes);

    /// <summary>Opens a directory's weights and checks that files, headers and index agree.</summary>
    /// <exception cref="CheckpointException">They do not, or the directory holds no safetensors file.</exception>
    public static Checkpoint Open(string directory)
    {
        var files = new List<SafetensorsFile>();
        try
        {
            var single = Path.Combine(directory, SingleFile);
            var indexPath = Path.Combine(directory, IndexFile);
            var index = File.Exists(single) ? null : File.Exists(indexPath) ? CheckpointJson.ReadFile(indexPath, ReadIndex) : null;
            if (index is null)
            {
                files.Add(File.Exists(single) ? SafetensorsFile.Open(single) : throw NoWeights(directory));
            }
            else
            {
                files.AddRange(OpenShards(directory, index));
            }

            var checkpoint = new Checkpoint(files, Collect(files, index));
            files = [];
            return checkpoint;
        }
        finally
        {
            files.ForEach(file => file.Dispose());
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var file in Files)
        {
            file.Dispose();
        }
    }

    private static List<SafetensorsFile> OpenShards(string directory, Dictionary<string, string> index)
    {
        var opened = new List<SafetensorsFile>();
        try
        {
            foreach (var shard in index.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                var path = Path.Combine(directory, shard);
                opened.Add(File.Exists(path)
                    ? SafetensorsFile.Open(path)
                    : throw new CheckpointException(shard, "file", $"present, because {IndexFile} names it", "no such file"));
            }

            var result = opened;
            opened = [];
            return result;
        }
        finally
        {
            opened.ForEach(file => file.Dispose());
        }
    }

    private static Dictionary<string, StoredTensor> Collect(List<SafetensorsFile> files, Dictionary<string, string>? index)
    {
        var tensors = new Dictionary<string, StoredTensor>(StringComparer.Ordinal);
        foreach (var file in files)
        {
            foreach (var tensor in file.Tensors)
            {
                if (index is not null && (!index.TryGetValue(tensor.Name, out var shard) || shard != file.Name))
                {
                    throw new CheckpointException(
                        IndexFile, CheckpointException.Shorten(tensor.Name), $"in weight_map as {file.Name}", shard ?? "nothing");
                }

                tensors.Add(tensor.Name, tensor);
            }
        }

        var missing = index?.Keys.FirstOrDefault(name => !tensors.ContainsKey(name));
        return missing is null
            ? tensors
            : throw new CheckpointException(index![missing], CheckpointException.Shorten(missing), $"present, because {IndexFile} says so", "no such tensor");
    }

    private static Dictionary<string, string> ReadIndex(JsonElement root)
    {
        if (!root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
        {
            throw new CheckpointException(IndexFile, "weight_map", "an object of tensor name and file name", "none");
        }

        var index = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in map.EnumerateObject())
        {
            var shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
            index.Add(entry.Name, CheckShardName(entry.Name, shard));
        }

        return index.Count > 0 ? index : throw new CheckpointException(IndexFile, "weight_map", "at least one tensor", "none");
    }

    // A name with a separator could reach any file of the machine.
    private static string CheckShardName(string tensor, string shard) =>
        shard.EndsWith(".safetensors", StringComparison.Ordinal) && shard.AsSpan().IndexOfAny('/', '\\', '\0') < 0
            ? shard
            : throw new CheckpointException(
                IndexFile,
                $"weight_map[{CheckpointException.Shorten(tensor)}]",
                "a bare file name that ends in .safetensors",
                $"\"{CheckpointException.Shorten(shard)}\"");

    private static CheckpointException NoWeights(string directory)
    {
        var refused = Directory.Exists(directory)
            ? Directory.EnumerateFiles(directory).FirstOrDefault(file => RefusedFormats.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase))
            : null;
        return refused is null
            ? new CheckpointException(directory, "weights", $"{SingleFile} or {IndexFile}", "neither")
            : new CheckpointException(
                Path.GetFileName(refused), "format", "safetensors (pickled and other formats are not read)", Path.GetExtension(refused));
    }
}
