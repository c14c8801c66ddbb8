using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelServe.Codec.Tests.Tokenizing;

/// <summary>A checkpoint directory made for one test and deleted with it: a byte-level tokenizer with a few merges, to be altered.</summary>
internal sealed class TestCheckpoint : IDisposable
{
    /// <summary>A directory with a valid tokenizer.json: 256 byte characters, a few merges, ChatML's control tokens.</summary>
    public TestCheckpoint()
    {
        Folder = Directory.CreateTempSubdirectory("modelserve-codec-").FullName;
        Root = Build();
        Save();
    }

    /// <summary>The directory.</summary>
    public string Folder { get; }

    /// <summary>The content of tokenizer.json; <see cref="Save"/> writes changes.</summary>
    public JsonObject Root { get; }

    /// <summary>The model.</summary>
    public JsonObject Model => (JsonObject)Root["model"]!;

    /// <summary>Id of the first added token.</summary>
    public int FirstAdded => ((JsonObject)Model["vocab"]!).Count;

    /// <summary>Writes tokenizer.json.</summary>
    public void Save() => Write("tokenizer.json", Root.ToJsonString());

    /// <summary>Writes any file of the directory.</summary>
    public void Write(string name, string content) => File.WriteAllText(Path.Combine(Folder, name), content);

    /// <summary>Reads the tokenizer.</summary>
    public HfTokenizer Load() => HfTokenizer.Load(Folder);

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static JsonObject Build()
    {
        var vocabulary = new JsonObject();
        int shifted = 256;
        for (int code = 0; code < 256; code++)
        {
            bool printable = code is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            vocabulary[((char)(printable ? code : shifted++)).ToString()] = code;
        }
        string[] merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġw o", "a a", "aa aa", "Ã ©"];
        foreach (string merge in merges)
        {
            vocabulary[merge.Replace(" ", "", StringComparison.Ordinal)] = vocabulary.Count;
        }
        string[] added = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<tool>"];
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray([.. added.Select((text, index) => (JsonNode)Added(vocabulary.Count + index, text))]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse("""{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"""),
            ["post_processor"] = null,
            ["decoder"] = JsonNode.Parse("""{"type":"ByteLevel"}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]),
            },
        };
    }

    private static JsonNode Added(int id, string text) => JsonNode.Parse(string.Create(
        CultureInfo.InvariantCulture,
        $$"""{"id":{{id}},"content":"{{text}}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":{{(text == "<tool>" ? "false" : "true")}}}"""))!;
}
