using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using ModelServe.Codec;

namespace ModelServe.Benchmarks;

/// <summary>
/// Encoding a 1,000,000-byte text and a run of 100,000 equal characters with byte-level vocabularies that are made here from the text
/// itself (the most frequent pairs merge first). 1 / (mean in seconds) is MB/s.
/// </summary>
public class TokenizerBenchmarks
{
    private const int TextBytes = 1_000_000;
    private const int RunLength = 100_000;
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string Cl100kTail = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Upper = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    private static readonly string[] English =
    [
        "The harbour was quiet before the rain came, and nobody on the pier could say why.", "She didn't answer; it's likely they'd already left.",
        "In 1984 about 12,500 people lived there, most of them fishermen and their families.", "What follows is a careful account of everything we found.",
        "Temperatures rose slowly through the morning until the windows had to be opened.", "He wrote two letters, burned one, and posted the other.",
    ];

    private static readonly string[] Code =
    [
        "public static int Main(string[] args)\n{\n    return args.Length > 0 ? 1 : 0;\n}\n", "for (int index = 0; index < values.Length; index++)\n{\n    total += values[index] * 2;\n}\n",
        "    if value is None:\n        raise ValueError(f\"{name}: missing\")\n", "const result = items.filter(item => item.id !== 42).map(toView);\n",
        "\t/* Frees what was rented. */\n\tpool.Return(buffer, clearArray: true);\n\n", "SELECT name, count(*) FROM orders WHERE placed_at >= '2024-01-01' GROUP BY name;\n",
    ];

    private HfTokenizer? _tokenizer;
    private string _text = "";
    private string _run = "";

    /// <summary>The pre-tokenizer's family.</summary>
    [Params("gpt2", "cl100k", "qwen", "o200k", "regex")]
    public string Family { get; set; } = "";

    /// <summary>What the text is.</summary>
    [Params("english", "code")]
    public string Content { get; set; } = "";

    /// <summary>Makes text, vocabulary and tokenizer.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        _text = MakeText(Content == "english" ? English : Code);
        _run = new string('a', RunLength);
        string folder = Directory.CreateTempSubdirectory("modelserve-benchmark-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer.json"), MakeFile(_text[..200_000]).ToJsonString());
            _tokenizer = HfTokenizer.Load(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        if (_tokenizer.DecodeIds(_tokenizer.EncodeIds(_text, false, false), false) != _text)
        {
            throw new InvalidOperationException("the text does not come back");
        }
    }

    /// <summary>A text of 1,000,000 bytes.</summary>
    [Benchmark]
    public int Text() => _tokenizer!.EncodeIds(_text, addSpecialTokens: false, parseSpecialTokens: false).Length;

    /// <summary>100,000 times one character, which is one word to the merging.</summary>
    [Benchmark]
    public int Run() => _tokenizer!.EncodeIds(_run, addSpecialTokens: false, parseSpecialTokens: false).Length;

    /// <summary>Sentences in a fixed pseudo-random order, with words that occur once among them.</summary>
    private static string MakeText(string[] sentences)
    {
        var text = new StringBuilder(TextBytes + 100);
        uint state = 1;
        while (text.Length < TextBytes)
        {
            state = (state * 1664525) + 1013904223;
            text.Append(sentences[(state >> 16) % sentences.Length]).Append(' ');
            if ((state >> 8) % 4 == 0)
            {
                string rare = Convert.ToHexStringLower(BitConverter.GetBytes(state));
                foreach (char digit in rare)
                {
                    text.Append((char)(digit <= '9' ? digit - '0' + 'g' : digit));
                }
                text.Append(' ');
            }
        }
        text.Length = TextBytes;
        return text.ToString();
    }

    private JsonObject MakeFile(string sample)
    {
        var vocabulary = new JsonObject();
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        int shifted = 256;
        for (int code = 0; code < 256; code++)
        {
            bool printable = code is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            Add(((char)(printable ? code : shifted++)).ToString());
        }
        var merges = new JsonArray();
        // Words of the sample from the most to the least frequent, each built from left to right; and runs of one letter.
        IEnumerable<string> words = sample.Replace("\n", " \u010A", StringComparison.Ordinal).Split(' ').Where(word => word.Length is > 1 and < 20)
            .GroupBy(word => word, StringComparer.Ordinal).Where(group => group.Count() > 1).OrderByDescending(group => group.Count()).Select(group => group.Key);
        foreach (string word in words.SelectMany(word => new[] { "\u0120" + word, word }).Append("aaaa").Where(word => word.All(letter => ids.ContainsKey(letter.ToString()))))
        {
            for (int end = 2; end <= word.Length; end++)
            {
                if (!ids.ContainsKey(word[..end]))
                {
                    Add(word[..end]);
                    merges.Add(new JsonArray(word[..(end - 1)], word[(end - 1)..end]));
                }
            }
        }
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = JsonNode.Parse(PreTokenizer()),
            ["post_processor"] = null,
            ["decoder"] = JsonNode.Parse("""{"type":"ByteLevel"}"""),
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = merges },
        };

        void Add(string text)
        {
            vocabulary[text] = ids.Count;
            ids[text] = ids.Count;
        }
    }

    private string PreTokenizer()
    {
        if (Family == "gpt2")
        {
            return """{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""";
        }
        string pattern = Family switch
        {
            "cl100k" => Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + Cl100kTail,
            "qwen" => Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + Cl100kTail,
            "o200k" => Upper + "*" + Lower + "+" + Contractions + "?|" + Upper + "+" + Lower + "*" + Contractions +
                @"?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            _ => Contractions + @"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}" + Cl100kTail,
        };
        string split = JsonSerializer.Serialize(pattern);
        return $$$"""
            {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":{{{split}}}},"behavior":"Isolated","invert":false},
            {"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}
            """;
    }
}
