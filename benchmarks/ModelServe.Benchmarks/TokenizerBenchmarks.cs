using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using BenchmarkDotNet.Attributes;
using ModelServe.Codec;

namespace ModelServe.Benchmarks;

/// <summary>
/// Encoding a 1,000,000-byte text and runs of 100,000 equal characters with vocabularies that are made here from the text itself (words
/// from the most to the least frequent). 1 / (time in seconds) is MB/s; the least time counts on a busy machine. The last two families are SentencePiece-style.
/// </summary>
[MinColumn]
public class TokenizerBenchmarks
{
    private const int TextBytes = 1_000_000;
    private const int RunLength = 100_000;
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string Cl100kTail = @"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Upper = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    private const string Lower = @"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    private const string Marker = "\u2581";
    private const string SentencePieceNormalizer = """
        {"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"\u2581"},{"type":"Replace","pattern":{"String":" "},"content":"\u2581"}]}
        """;

    private const string MarkerSplit = """{"type":"Split","pattern":{"String":"\u2581"},"behavior":"MergedWithNext","invert":false}""";
    private const string SentencePieceDecoder = """
        {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"\u2581"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},
        {"type":"Strip","content":" ","start":1,"stop":0}]}
        """;

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
    private Dictionary<string, string> _runs = [];

    /// <summary>The characters of the runs.</summary>
    public static IEnumerable<string> Units => ["a", " ", "\n", "9", "-", "\u00E9", "\u4E2D", "\U0001F600"];

    /// <summary>The pre-tokenizer's family.</summary>
    [Params("gpt2", "cl100k", "qwen", "o200k", "regex", "sentencepiece", "unigram")]
    public string Family { get; set; } = "";

    /// <summary>What the text is.</summary>
    [Params("english", "code")]
    public string Content { get; set; } = "";

    /// <summary>Makes text, vocabulary and tokenizer.</summary>
    [GlobalSetup]
    public void Prepare()
    {
        _text = MakeText(Content == "english" ? English : Code);
        _runs = Units.ToDictionary(unit => unit, unit => string.Concat(Enumerable.Repeat(unit, RunLength)), StringComparer.Ordinal);
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
    /// <param name="unit">The character.</param>
    [Benchmark]
    [ArgumentsSource(nameof(Units))]
    public int Run(string unit) => _tokenizer!.EncodeIds(_runs[unit], addSpecialTokens: false, parseSpecialTokens: false).Length;

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
        bool isByteLevel = Family is not ("sentencepiece" or "unigram");
        List<string> alphabet = [.. isByteLevel ? ByteAlphabet() : [Marker, .. Enumerable.Range(33, 94).Select(code => ((char)code).ToString())]];
        if (!isByteLevel)
        {
            alphabet.InsertRange(0, ["<unk>", .. Enumerable.Range(0, 256).Select(code => $"<0x{code:X2}>")]);
        }
        List<string> tokens = [.. alphabet];
        HashSet<string> known = new(alphabet, StringComparer.Ordinal);
        var merges = new JsonArray();
        foreach (string word in Words(sample, isByteLevel ? "\u0120" : Marker).Where(word => word.All(letter => known.Contains(letter.ToString()))))
        {
            for (int end = 2; end <= word.Length; end++)
            {
                if (known.Add(word[..end]))
                {
                    tokens.Add(word[..end]);
                    merges.Add(new JsonArray(word[..(end - 1)], word[(end - 1)..end]));
                }
            }
        }
        var model = new JsonObject { ["type"] = Family == "unigram" ? "Unigram" : "BPE", ["byte_fallback"] = !isByteLevel };
        if (Family == "unigram")
        {
            model["unk_id"] = 0;
            model["vocab"] = new JsonArray([.. tokens.Select((token, id) => (JsonNode)new JsonArray(token, (id / -1000.0) - 5))]);
        }
        else
        {
            model["unk_token"] = isByteLevel ? null : "<unk>";
            model["fuse_unk"] = true;
            model["vocab"] = new JsonObject(tokens.Select((token, id) => KeyValuePair.Create(token, (JsonNode?)id)));
            model["merges"] = merges;
        }
        return new JsonObject
        {
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = isByteLevel ? null : JsonNode.Parse(SentencePieceNormalizer),
            ["pre_tokenizer"] = isByteLevel ? JsonNode.Parse(PreTokenizer()) : Family == "unigram" ? JsonNode.Parse(MarkerSplit) : null,
            ["post_processor"] = null,
            ["decoder"] = JsonNode.Parse(isByteLevel ? """{"type":"ByteLevel"}""" : SentencePieceDecoder),
            ["model"] = model,
        };
    }

    private static IEnumerable<string> ByteAlphabet()
    {
        int shifted = 256;
        for (int code = 0; code < 256; code++)
        {
            bool printable = code is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
            yield return ((char)(printable ? code : shifted++)).ToString();
        }
    }

    /// <summary>Words of the sample from the most to the least frequent, with a space before them and without; then a run of one letter.</summary>
    private static IEnumerable<string> Words(string sample, string space) => sample.Split([' ', '\n'])
        .Where(word => word.Length is > 1 and < 20).GroupBy(word => word, StringComparer.Ordinal).Where(group => group.Count() > 1)
        .OrderByDescending(group => group.Count()).SelectMany(group => new[] { space + group.Key, group.Key }).Append("aaaa");

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
