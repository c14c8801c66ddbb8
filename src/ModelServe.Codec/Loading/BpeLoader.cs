using System.Runtime.CompilerServices;
using System.Text.Json;
using ModelServe.Codec.Merging;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Reads the model of tokenizer.json.</summary>
internal static class BpeLoader
{
    private const int LargestId = 1 << 24;

    /// <summary>The model, and the stage that cuts its words short where that is exact.</summary>
    /// <param name="part">The member <c>model</c>.</param>
    /// <param name="byteLevel">Whether the model sees bytes.</param>
    public static (BpeModel Model, SafeCutStage? Cut) Load(JsonPart part, bool byteLevel)
    {
        RefuseOtherModels(part);
        BpeVocabulary vocabulary = ReadVocabulary(part.Child("vocab"));
        var options = new BpeOptions(
            byteLevel,
            part.Flag("ignore_merges", absent: false),
            part.Flag("byte_fallback", absent: false),
            part.Flag("fuse_unk", absent: false),
            Unknown(part, vocabulary, byteLevel));
        if (byteLevel && options.ByteFallback && !vocabulary.HasAllByteChars)
        {
            throw part.Unsupported("byte_fallback together with an incomplete byte-level alphabet");
        }
        var merges = new MergeReader(part.Child("merges"), vocabulary);
        var model = new BpeModel(vocabulary, merges.Read(), options);
        return (model, SafeCutStage.For(vocabulary, merges.Results, options));
    }

    private static void RefuseOtherModels(JsonPart part)
    {
        string type = part.OptionalText("type") ?? (part.Child("merges").IsNull ? "without a type" : "BPE");
        if (type != "BPE")
        {
            throw part.Unsupported($"the model {type}");
        }
        JsonPart dropout = part.Child("dropout");
        if (!dropout.IsNull && dropout.Number() != 0)
        {
            throw dropout.Unsupported("dropout, which makes ids random,");
        }
        foreach (string name in new[] { "continuing_subword_prefix", "end_of_word_suffix" })
        {
            if (!string.IsNullOrEmpty(part.OptionalText(name)))
            {
                throw part.Child(name).Unsupported($"{name} \"{part.OptionalText(name)}\"");
            }
        }
    }

    private static int Unknown(JsonPart part, BpeVocabulary vocabulary, bool byteLevel)
    {
        string? text = part.OptionalText("unk_token");
        if (text is null)
        {
            return -1;
        }
        int id = vocabulary.Find(text);
        bool needed = !(byteLevel && vocabulary.HasAllByteChars);
        return id >= 0 || !needed ? id : throw part.Child("unk_token").Wrong($"\"{text}\" is not in the vocabulary");
    }

    /// <summary>The tokens and ids of a vocabulary written as an object.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static BpeVocabulary ReadVocabulary(JsonPart part)
    {
        if (!part.IsObject)
        {
            throw part.Wrong("expected an object of tokens and ids");
        }
        Dictionary<string, int> ids = new(part.Element.GetPropertyCount(), StringComparer.Ordinal);
        string?[] owners = new string?[ids.Capacity];
        foreach (JsonProperty member in part.Element.EnumerateObject())
        {
            string text = Name(member, part);
            if (member.Value.ValueKind != JsonValueKind.Number || !member.Value.TryGetInt32(out int id) || id is < 0 or > LargestId)
            {
                throw part.Wrong($"the id {member.Value.GetRawText()} of \"{text}\" is not a whole number between 0 and {LargestId}");
            }
            if (id >= owners.Length)
            {
                Array.Resize(ref owners, Math.Max(id + 1, owners.Length * 2));
            }
            if (owners[id] is { } other)
            {
                throw part.Wrong($"the id {id} belongs to both \"{other}\" and \"{text}\"");
            }
            owners[id] = text;
            if (!ids.TryAdd(text, id))
            {
                throw part.Wrong($"\"{text}\" is listed twice");
            }
        }
        return new BpeVocabulary(ids);
    }

    private static string Name(JsonProperty member, JsonPart place)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException failure)
        {
            throw new InvalidTextModelException($"{place.Place}: a token is not valid Unicode (half a surrogate pair).", failure);
        }
    }
}
