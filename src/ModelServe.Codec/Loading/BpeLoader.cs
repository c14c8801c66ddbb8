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
        HashSet<string> results = new(StringComparer.Ordinal);
        MergeTable merges = ReadMerges(part.Child("merges"), vocabulary, results);
        return (new BpeModel(vocabulary, merges, options), SafeCutStage.For(vocabulary, results, options));
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
    public static BpeVocabulary ReadVocabulary(JsonPart part)
    {
        if (!part.IsObject)
        {
            throw part.Wrong("expected an object of tokens and ids");
        }
        Dictionary<string, int> ids = new(part.Element.GetPropertyCount(), StringComparer.Ordinal);
        Dictionary<int, string> owners = new(ids.Capacity);
        foreach (JsonProperty member in part.Element.EnumerateObject())
        {
            string text = Name(member, part);
            if (member.Value.ValueKind != JsonValueKind.Number || !member.Value.TryGetInt32(out int id) || id is < 0 or > LargestId)
            {
                throw part.Wrong($"the id {member.Value.GetRawText()} of \"{text}\" is not a whole number between 0 and {LargestId}");
            }
            if (!owners.TryAdd(id, text))
            {
                throw part.Wrong($"the id {id} belongs to both \"{owners[id]}\" and \"{text}\"");
            }
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

    private static MergeTable ReadMerges(JsonPart part, BpeVocabulary vocabulary, HashSet<string> results)
    {
        if (!part.IsArray)
        {
            throw part.Wrong("expected a list of merges");
        }
        var table = new MergeTable(part.Element.GetArrayLength());
        int rank = 0;
        foreach (JsonElement merge in part.Element.EnumerateArray())
        {
            if (!TryPair(merge, part, out string left, out string right))
            {
                throw part.Wrong($"merge {rank} is neither two tokens with a space between nor a pair: {merge.GetRawText()}");
            }
            int leftId = Require(vocabulary, left, part, rank);
            int rightId = Require(vocabulary, right, part, rank);
            string result = left + right;
            table.Add(leftId, rightId, rank, Require(vocabulary, result, part, rank));
            results.Add(result);
            rank++;
        }
        return table;
    }

    private static bool TryPair(JsonElement merge, JsonPart place, out string left, out string right)
    {
        left = right = "";
        if (merge.ValueKind == JsonValueKind.Array && merge.GetArrayLength() == 2 &&
            merge[0].ValueKind == JsonValueKind.String && merge[1].ValueKind == JsonValueKind.String)
        {
            left = place.Within(merge[0]).Text();
            right = place.Within(merge[1]).Text();
            return true;
        }
        if (merge.ValueKind != JsonValueKind.String)
        {
            return false;
        }
        string[] parts = place.Within(merge).Text().Split(' ');
        if (parts.Length != 2)
        {
            return false;
        }
        (left, right) = (parts[0], parts[1]);
        return true;
    }

    private static int Require(BpeVocabulary vocabulary, string text, JsonPart place, int rank)
    {
        int id = vocabulary.Find(text);
        return id >= 0 ? id : throw place.Wrong($"merge {rank} uses \"{text}\", which is not in the vocabulary");
    }
}
