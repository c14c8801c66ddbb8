using System.Text.Json;
using System.Text.Json.Nodes;
using ModelServe.Codec.Added;
using ModelServe.Codec.Merging;
using ModelServe.Codec.SentencePieces;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>
/// Reads a tokenizer where no tokenizer.json exists: a SentencePiece model (tokenizer.model) or a tiktoken rank file
/// (tokenizer.model, tiktoken.model, *.tiktoken). What such a file does not say must be in tokenizer_config.json, else it is refused.
/// </summary>
internal static class OtherFormats
{
    private const long LargestFile = 1L << 29;

    // The Python classes that take a SentencePiece model's pieces as they are numbered, and add nothing but bos_token and eos_token.
    private static readonly string[] PlainClasses =
        ["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "BaichuanTokenizer", "InternLMTokenizer", "InternLM2Tokenizer"];

    /// <summary>Reads the files of a checkpoint directory without tokenizer.json.</summary>
    public static TokenizerFile Load(string directory, TokenizerSettings settings)
    {
        string path = Find(directory);
        long size = new FileInfo(path).Length;
        if (size > LargestFile)
        {
            throw new InvalidTextModelException($"{path}: the file has {size} bytes, more than {LargestFile}.");
        }
        byte[] content = File.ReadAllBytes(path);
        // A protocol buffer of pieces begins with the tag of its first field, which no base64 text does.
        return content.Length > 0 && content[0] == 0x0A ? SentencePiece(path, content, settings) : Ranks(Path.GetFileName(path), content, settings);
    }

    private static string Find(string directory)
    {
        foreach (string name in new[] { "tokenizer.model", "tiktoken.model" })
        {
            if (File.Exists(Path.Combine(directory, name)))
            {
                return Path.Combine(directory, name);
            }
        }
        string[] ranks = Directory.Exists(directory) ? Directory.GetFiles(directory, "*.tiktoken") : [];
        return ranks.Length switch
        {
            0 => throw new InvalidTextModelException(
                $"{Path.Combine(directory, "tokenizer.json")}: the file does not exist, nor does tokenizer.model or a tiktoken rank file."),
            1 => ranks[0],
            _ => throw new InvalidTextModelException($"{directory}: {ranks.Length} files *.tiktoken, so that it is not clear which counts."),
        };
    }

    private static TokenizerFile SentencePiece(string path, byte[] content, TokenizerSettings settings)
    {
        if (!PlainClasses.Contains(settings.TokenizerClass, StringComparer.Ordinal))
        {
            throw new UnsupportedFeatureException(
                $"tokenizer_config.json: tokenizer_class: tokenizer.model without tokenizer.json for the class \"{settings.TokenizerClass}\" is not " +
                $"supported: it may renumber ids or add others. {string.Join(", ", PlainClasses)} are.");
        }
        ModelFile file;
        try
        {
            file = ModelFile.Read(content);
        }
        catch (FormatException failure)
        {
            throw new InvalidTextModelException($"{path}: not a SentencePiece model: {failure.Message}.", failure);
        }
        (ITokenModel model, List<IPreTokenizerStage> stages, UserSymbols symbols) = SentencePieceLoader.Load(file);
        IEnumerable<(string Text, int Id)> control = file.Pieces.Select((piece, id) => (piece, id))
            .Where(item => item.piece.Kind is PieceKind.Control or PieceKind.Unknown).Select(item => (item.piece.Text, item.id));
        var decoders = new JsonArray(
            JsonNode.Parse("""{"type":"Replace","pattern":{"String":"▁"},"content":" "}"""),
            JsonNode.Parse("""{"type":"ByteFallback"}"""),
            JsonNode.Parse("""{"type":"Fuse"}"""));
        if (file.AddsDummyPrefix)
        {
            decoders.Add(JsonNode.Parse("""{"type":"Strip","content":" ","start":1,"stop":0}"""));
        }
        string decoder = new JsonObject { ["type"] = "Sequence", ["decoders"] = decoders }.ToJsonString();
        return Assemble(model, control, settings, decoder) with
        {
            Normalizer = new SentencePieceNormalizer(file, symbols),
            Stages = stages,
        };
    }

    private static TokenizerFile Ranks(string name, byte[] content, TokenizerSettings settings)
    {
        string pattern = settings.Pattern ??
            throw new UnsupportedFeatureException($"tokenizer_config.json: {name} needs the split pattern as pat_str; without it the file is not supported.");
        if (settings.AddedTokensDecoder is null || settings.AddBos is null)
        {
            throw new UnsupportedFeatureException(
                $"tokenizer_config.json: {name} needs added_tokens_decoder and add_bos_token; without them the file is not supported.");
        }
        List<IPreTokenizerStage> stages = PreTokenizerLoader.ForPattern(pattern, "tokenizer_config.json: pat_str");
        return Assemble(RankFileLoader.Load(name, content), [], settings, """{"type":"ByteLevel"}""") with { Stages = stages };
    }

    private static TokenizerFile Assemble(
        ITokenModel model, IEnumerable<(string Text, int Id)> control, TokenizerSettings settings, string decoder)
    {
        var list = new JsonArray([.. control.Select(token =>
            (JsonNode)new JsonObject { ["id"] = token.Id, ["content"] = token.Text, ["special"] = true, ["normalized"] = false })]);
        string json = new JsonObject { ["added_tokens"] = list, ["decoder"] = JsonNode.Parse(decoder) }.ToJsonString();
        using JsonDocument document = JsonDocument.Parse(json);
        var root = new JsonPart(document.RootElement, "tokenizer.model", "");
        SortedDictionary<int, AddedToken> added = AddedTokenLoader.Load(root, settings, model.Vocabulary);
        model.Vocabulary.ForbidWhole(added.Values.Where(token => token.IsControl).Select(token => token.Id));
        (int[] before, int[] after) = PostProcessorLoader.Load(settings, model.Vocabulary, added);
        return new TokenizerFile(model)
        {
            Added = added,
            Normalizer = null,
            Stages = [],
            Decoder = DecoderLoader.Load(root.Child("decoder")),
            Before = before,
            After = after,
        };
    }
}
