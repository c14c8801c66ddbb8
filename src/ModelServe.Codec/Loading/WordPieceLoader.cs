using ModelServe.Codec.Merging;
using ModelServe.Codec.WordPieces;

namespace ModelServe.Codec.Loading;

/// <summary>Reads a WordPiece model of tokenizer.json.</summary>
internal static class WordPieceLoader
{
    private const int LargestWord = 1 << 16;

    /// <summary>The model.</summary>
    /// <param name="part">The member <c>model</c>.</param>
    public static WordPieceModel Load(JsonPart part)
    {
        BpeVocabulary vocabulary = BpeLoader.ReadVocabulary(part.Child("vocab"));
        string unknown = part.OptionalText("unk_token") ?? "[UNK]";
        int unknownId = vocabulary.Find(unknown);
        if (unknownId < 0)
        {
            throw part.Child("unk_token").Wrong($"\"{unknown}\" is not in the vocabulary");
        }
        JsonPart longest = part.Child("max_input_chars_per_word");
        int longestWord = longest.IsNull ? 100 : longest.Integer();
        if (longestWord is < 0 or > LargestWord)
        {
            throw longest.Wrong($"{longestWord} is not between 0 and {LargestWord}");
        }
        var options = new BpeOptions(ByteLevel: false, IgnoreMerges: false, ByteFallback: false, FuseUnknown: false, unknownId);
        return new WordPieceModel(vocabulary, options, part.OptionalText("continuing_subword_prefix") ?? "##", longestWord);
    }
}
