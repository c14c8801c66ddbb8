using System.Text.Json.Nodes;
using ModelServe.Execution.Checkpoints;
using ModelServe.Execution.Loading;
using ModelServe.Execution.Tests.Models;
using Xunit;

namespace ModelServe.Execution.Tests.Checkpoints;

/// <summary>Files of a directory that do not belong together, or do not belong to the model, are refused by name.</summary>
public sealed class CheckpointTests
{
    private const string Index = "model.safetensors.index.json";
    private const string SecondShard = "model-00002-of-00003.safetensors";

    [Fact]
    public void Shards_are_one_checkpoint()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 3);
        using var checkpoint = Checkpoint.Open(random.Folder);
        Assert.Equal(3, checkpoint.Files.Count);
        Assert.Equal(random.Weights.Keys.Order(), checkpoint.Tensors.Keys.Order());
        Assert.Equal(random.Weights.Values.Sum(values => 4L * values.Length), checkpoint.Bytes);
    }

    [Fact]
    public void A_missing_shard_is_named()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 3);
        File.Delete(Path.Combine(random.Folder, SecondShard));
        Refused(random.Folder, SecondShard, "no such file");
    }

    [Fact]
    public void A_truncated_shard_is_named()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 3);
        var path = Path.Combine(random.Folder, SecondShard);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..^1]);
        Refused(random.Folder, SecondShard, "an end within");
    }

    [Theory]
    [InlineData("../x.safetensors")]
    [InlineData("/etc/x.safetensors")]
    [InlineData("a\\x.safetensors")]
    [InlineData("x.bin")]
    [InlineData("")]
    public void A_shard_name_that_is_not_a_bare_file_name_is_refused(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write(Index, new JsonObject { ["weight_map"] = new JsonObject { ["a"] = name } }.ToJsonString());
        Refused(folder.Path, "weight_map[a]", "bare file name");
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("""{"weight_map":[]}""")]
    [InlineData("""{"weight_map":{}}""")]
    [InlineData("""{"weight_map":{"a":1}}""")]
    [InlineData("""{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}""")]
    public void A_broken_index_is_refused(string index)
    {
        using var folder = new TemporaryFolder();
        folder.Write(Index, index);
        Refused(folder.Path, Index);
    }

    [Fact]
    public void A_tensor_that_the_index_names_must_be_in_its_shard()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 3);
        EditIndex(random, map => map["model.layers.9.mlp.up_proj.weight"] = SecondShard);
        Refused(random.Folder, SecondShard, "model.layers.9.mlp.up_proj.weight");
    }

    [Fact]
    public void A_tensor_in_another_shard_than_the_index_says_is_refused()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 3);
        EditIndex(random, map => map["model.norm.weight"] = map["model.norm.weight"]!.ToString() == SecondShard ? "model-00001-of-00003.safetensors" : SecondShard);
        Refused(random.Folder, Index, "model.norm.weight");
    }

    [Theory]
    [InlineData("pytorch_model.bin")]
    [InlineData("model.PT")]
    [InlineData("weights.pkl")]
    [InlineData("model.gguf")]
    public void Pickles_and_foreign_formats_are_refused_by_name(string name)
    {
        using var folder = new TemporaryFolder();
        folder.Write(name, "anything");
        Refused(folder.Path, name, "safetensors");
    }

    [Fact]
    public void A_directory_without_weights_is_refused()
    {
        using var folder = new TemporaryFolder();
        Refused(folder.Path, "model.safetensors");
        Refused(Path.Combine(folder.Path, "nowhere"), "model.safetensors");
    }

    [Fact]
    public void A_missing_tensor_is_named() =>
        LoadRefused(tensors => tensors.Where(tensor => tensor.Name != "model.layers.1.mlp.up_proj.weight"), "F32", "model.layers.1.mlp.up_proj.weight", "no such tensor");

    [Fact]
    public void An_unexpected_tensor_is_named() =>
        LoadRefused(tensors => tensors.Append(("model.layers.0.adapter.weight", [2], [1f, 2f])), "F32", "model.layers.0.adapter.weight");

    [Fact]
    public void A_wrong_shape_is_named() =>
        LoadRefused(
            tensors => tensors.Select(tensor => tensor.Name == "model.norm.weight" ? (tensor.Name, [8, 8], tensor.Values) : tensor),
            "F32",
            "model.norm.weight.shape: [64]; got [8, 8]");

    [Fact]
    public void A_wrong_dtype_is_named() =>
        LoadRefused(tensors => tensors, "I32", "model.embed_tokens.weight.dtype: F32, BF16 or F16; got I32");

    [Fact]
    public void Stored_rotary_frequencies_and_a_tied_head_are_passed_over()
    {
        using var random = new RandomCheckpoint(TinyModel.LlamaTied);
        Rewrite(random, "F32", tensors => tensors
            .Append(("model.layers.0.self_attn.rotary_emb.inv_freq", [2], [1f, 2f]))
            .Append(("lm_head.weight", [2], [1f, 2f])));
        using var loaded = ModelLoader.Load(random.Folder, ForwardPassTests.Options(TestedOps.Torch), null);
        Assert.Equal(random.Weights.Values.Sum(values => (long)values.Length), loaded.Config.Parameters);
    }

    [Fact]
    public void Progress_counts_every_byte_once()
    {
        using var random = new RandomCheckpoint(TinyModel.Llama, shards: 2);
        var reports = new ProgressList();
        using var loaded = ModelLoader.Load(random.Folder, ForwardPassTests.Options(TestedOps.Torch), reports);
        Assert.Equal(reports.Items[^1].BytesTotal, reports.Items[^1].BytesRead);
        Assert.Equal(reports.Items.Select(item => item.BytesRead).Order(), reports.Items.Select(item => item.BytesRead));
    }

    private static void EditIndex(RandomCheckpoint random, Action<JsonNode> edit)
    {
        var path = Path.Combine(random.Folder, Index);
        var index = JsonNode.Parse(File.ReadAllText(path))!;
        edit(index["weight_map"]!);
        File.WriteAllText(path, index.ToJsonString());
    }

    private static void Rewrite(
        RandomCheckpoint random,
        string type,
        Func<IEnumerable<(string Name, int[] Shape, float[] Values)>, IEnumerable<(string Name, int[] Shape, float[] Values)>> edit) =>
        SafetensorsWriter.Write(
            Path.Combine(random.Folder, "model.safetensors"),
            edit(random.Model.Tensors().Select(tensor => (tensor.Name, tensor.Shape, random.Weights[tensor.Name]))),
            type);

    private static void LoadRefused(
        Func<IEnumerable<(string Name, int[] Shape, float[] Values)>, IEnumerable<(string Name, int[] Shape, float[] Values)>> edit,
        string type,
        params string[] parts)
    {
        using var random = new RandomCheckpoint(TinyModel.Llama);
        Rewrite(random, type, edit);
        var refusal = Assert.Throws<CheckpointException>(
            () => ModelLoader.Load(random.Folder, ForwardPassTests.Options(TestedOps.Torch), null));
        Assert.All(parts, part => Assert.Contains(part, refusal.Message, StringComparison.Ordinal));
    }

    private static void Refused(string folder, params string[] parts)
    {
        var refusal = Assert.Throws<CheckpointException>(() => Checkpoint.Open(folder));
        Assert.All(parts, part => Assert.Contains(part, refusal.Message, StringComparison.Ordinal));
    }

    private sealed class ProgressList : IProgress<LoadProgress>
    {
        public List<LoadProgress> Items { get; } = [];

        public void Report(LoadProgress value) => Items.Add(value);
    }
}
