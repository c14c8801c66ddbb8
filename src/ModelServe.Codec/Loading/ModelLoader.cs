using ModelServe.Codec.Merging;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Reads the model of tokenizer.json, of whichever type.</summary>
internal static class ModelLoader
{
    /// <summary>The model, and the stage that cuts its words short where that is exact.</summary>
    /// <param name="part">The member <c>model</c>.</param>
    /// <param name="byteLevel">Whether the last pre-tokenizer is ByteLevel.</param>
    public static (ITokenModel Model, SafeCutStage? Cut) Load(JsonPart part, bool byteLevel)
    {
        string type = part.OptionalText("type") ?? "";
        if (type is not ("Unigram" or "WordPiece"))
        {
            return BpeLoader.Load(part, byteLevel);
        }
        if (byteLevel)
        {
            throw part.Unsupported($"the pre-tokenizer ByteLevel before the model {type}");
        }
        return (type == "Unigram" ? UnigramLoader.Load(part) : WordPieceLoader.Load(part), null);
    }
}
