using System.Text.Json;
using ModelServe.Codec.Added;
using ModelServe.Codec.Decoding;
using ModelServe.Codec.Merging;
using ModelServe.Codec.Normalizing;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Everything that tokenizer.json and the files beside it say, read and checked.</summary>
internal sealed record TokenizerFile
{
    internal TokenizerFile(ITokenModel model)
    {
        Model = model;
    }

    /// <summary>The model.</summary>
    public ITokenModel Model { get; }

    /// <summary>Added tokens by id.</summary>
    public required IReadOnlyDictionary<int, AddedToken> Added { get; init; }

    /// <summary>The normalizer, or null.</summary>
    public required ITextNormalizer? Normalizer { get; init; }

    /// <summary>The pre-tokenizer's stages, with the exact cut of long words last.</summary>
    public required IReadOnlyList<IPreTokenizerStage> Stages { get; init; }

    /// <summary>The decoders.</summary>
    public required DecoderPlan Decoder { get; init; }

    /// <summary>Ids before every text.</summary>
    public required IReadOnlyList<int> Before { get; init; }

    /// <summary>Ids after every text.</summary>
    public required IReadOnlyList<int> After { get; init; }

    /// <summary>Reads the files of a checkpoint directory.</summary>
    /// <exception cref="InvalidTextModelException">A file is missing or contradicts itself.</exception>
    /// <exception cref="UnsupportedFeatureException">A file asks for what is not implemented.</exception>
    public static TokenizerFile Load(string directory, TokenizerSettings settings)
    {
        using JsonDocument? document = JsonPart.ReadOptional(directory, "tokenizer.json");
        if (document is null)
        {
            return OtherFormats.Load(directory, settings);
        }
        var root = new JsonPart(document.RootElement, "tokenizer.json", "");
        JsonPart modelPart = root.Child("model");
        (List<IPreTokenizerStage> stages, bool byteLevel) = PreTokenizerLoader.Load(root.Child("pre_tokenizer"));
        (ITokenModel model, SafeCutStage? cut) = ModelLoader.Load(modelPart, byteLevel);
        if (cut is not null)
        {
            stages.Add(cut);
        }
        SortedDictionary<int, AddedToken> added = AddedTokenLoader.Load(root, settings, model.Vocabulary);
        model.Vocabulary.ForbidWhole(added.Values.Where(token => token.IsControl).Select(token => token.Id));
        (int[] before, int[] after) = PostProcessorLoader.Load(root, settings, model.Vocabulary, added);
        return new TokenizerFile(model)
        {
            Added = added,
            Normalizer = NormalizerLoader.Load(root.Child("normalizer")),
            Stages = stages,
            Decoder = DecoderLoader.Load(root.Child("decoder")),
            Before = before,
            After = after,
        };
    }
}
