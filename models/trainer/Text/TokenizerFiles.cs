using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelServe.Trainer.Text;

/// <summary>Reads and writes tokenizer.json and tokenizer_config.json in the Hugging Face form.</summary>
internal static class TokenizerFiles
{
    private const string ChatTemplate =
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
        + "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(Bpe bpe, string directory, int maxLength)
    {
        JsonObject vocab = [];
        for (int i = 0; i < bpe.Tokens.Count; i++)
        {
            vocab[bpe.Tokens[i]] = i;
        }

        JsonObject root = new()
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray([.. Bpe.Specials.Select((token, id) => (JsonNode)AddedToken(token, id))]),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject
                    {
                        ["type"] = "Split",
                        ["pattern"] = new JsonObject { ["Regex"] = Bpe.Pattern },
                        ["behavior"] = "Isolated",
                        ["invert"] = false,
                    },
                    ByteLevel(trimOffsets: false)),
            },
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(trimOffsets: true),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = "",
                ["end_of_word_suffix"] = "",
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = vocab,
                ["merges"] = new JsonArray([.. bpe.Merges.Select(m => (JsonNode)$"{m.Left} {m.Right}")]),
            },
        };
        Save(root, Path.Combine(directory, "tokenizer.json"));
        WriteConfig(directory, maxLength);
    }

    public static Bpe Read(string path)
    {
        JsonNode root = JsonNode.Parse(File.ReadAllText(path))!;
        return new([.. root["model"]!["merges"]!.AsArray().Select(m => m!.GetValue<string>().Split(' ')).Select(p => (p[0], p[1]))]);
    }

    public static void Save(JsonNode node, string path) => File.WriteAllText(path, node.ToJsonString(Indented) + "\n");

    private static void WriteConfig(string directory, int maxLength)
    {
        JsonObject decoder = [];
        for (int id = 0; id < Bpe.Specials.Length; id++)
        {
            JsonObject token = AddedToken(Bpe.Specials[id], id);
            token.Remove("id");
            decoder[id.ToString(System.Globalization.CultureInfo.InvariantCulture)] = token;
        }

        JsonObject config = new()
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["add_bos_token"] = false,
            ["add_prefix_space"] = false,
            ["added_tokens_decoder"] = decoder,
            ["bos_token"] = null,
            ["eos_token"] = Bpe.Specials[Bpe.EndOfTurn],
            ["pad_token"] = Bpe.Specials[Bpe.EndOfText],
            ["unk_token"] = null,
            ["clean_up_tokenization_spaces"] = false,
            ["model_max_length"] = maxLength,
            ["chat_template"] = ChatTemplate,
        };
        Save(config, Path.Combine(directory, "tokenizer_config.json"));
    }

    private static JsonObject AddedToken(string content, int id) => new()
    {
        ["id"] = id,
        ["content"] = content,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = false,
        ["special"] = true,
    };

    private static JsonObject ByteLevel(bool trimOffsets) => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = trimOffsets,
        ["use_regex"] = false,
    };
}
