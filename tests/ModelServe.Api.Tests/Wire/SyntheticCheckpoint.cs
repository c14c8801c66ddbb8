using System.Text.Json.Nodes;
using ModelServe.Codec;

namespace ModelServe.Api.Tests.Wire;

/// <summary>A checkpoint's text side, written to a temporary folder: 256 single bytes whose id is the byte, and four special tokens.</summary>
/// <remarks>An output of ASCII text is one token a character, so that tests can say what a model "writes" as a string.</remarks>
public sealed class SyntheticCheckpoint : IDisposable
{
    public const int TurnStart = 256;
    public const int TurnEnd = 257;
    public const int EndOfText = 258;
    public const int Begin = 259;
    public const int VocabularySize = 260;

    private static readonly string[] Specials = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|begin|>"];

    public SyntheticCheckpoint()
    {
        Write("tokenizer.json", Tokenizer());
        Write("tokenizer_config.json", new JsonObject
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["eos_token"] = "<|im_end|>",
            ["chat_template"] = Template,
        });
        Write("config.json", new JsonObject { ["eos_token_id"] = TurnEnd, ["vocab_size"] = VocabularySize });
        Write("generation_config.json", new JsonObject
        {
            ["do_sample"] = true,
            ["temperature"] = 0.5,
            ["top_p"] = 0.75,
            ["top_k"] = 40,
            ["eos_token_id"] = new JsonArray(TurnEnd, EndOfText),
        });
        Text = TextModel.Load(Folder);
    }

    /// <summary>ChatML that refuses two user turns in a row, as many templates do.</summary>
    public static string Template =>
        "{% for m in messages %}{% if not loop.first and m.role == 'user' and messages[loop.index0 - 1].role == 'user' %}"
        + "{{ raise_exception('roles must alternate') }}{% endif %}"
        + "{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

    public string Folder { get; } = Directory.CreateTempSubdirectory("modelserve-wire-").FullName;

    public TextModel Text { get; }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static JsonObject Tokenizer()
    {
        JsonObject vocabulary = [];
        foreach ((char letter, int value) in ByteLetters())
        {
            vocabulary[letter.ToString()] = value;
        }

        JsonArray added = [];
        for (int i = 0; i < Specials.Length; i++)
        {
            added.Add(new JsonObject
            {
                ["id"] = TurnStart + i,
                ["content"] = Specials[i],
                ["single_word"] = false,
                ["lstrip"] = false,
                ["rstrip"] = false,
                ["normalized"] = false,
                ["special"] = true,
            });
        }

        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = added,
            ["normalizer"] = null,
            ["pre_tokenizer"] = ByteLevel(),
            ["post_processor"] = null,
            ["decoder"] = ByteLevel(),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["dropout"] = null,
                ["unk_token"] = null,
                ["continuing_subword_prefix"] = null,
                ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false,
                ["byte_fallback"] = false,
                ["ignore_merges"] = false,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray(),
            },
        };
    }

    private static JsonObject ByteLevel() => new()
    {
        ["type"] = "ByteLevel",
        ["add_prefix_space"] = false,
        ["trim_offsets"] = true,
        ["use_regex"] = true,
    };

    /// <summary>The visible letter that byte-level vocabularies use for each byte.</summary>
    private static IEnumerable<(char Letter, int Value)> ByteLetters()
    {
        int next = 256;
        for (int value = 0; value < 256; value++)
        {
            bool visible = value is (>= '!' and <= '~') or (>= 0xa1 and <= 0xac) or (>= 0xae and <= 0xff);
            yield return (visible ? (char)value : (char)next++, value);
        }
    }

    private void Write(string name, JsonObject content) =>
        File.WriteAllText(Path.Combine(Folder, name), content.ToJsonString());
}
