using System.Text.Json;
using ModelServe.Codec.Lattice;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Loading;

/// <summary>Reads a Unigram model of tokenizer.json: a list of [token, score] whose indexes are the ids.</summary>
internal static class UnigramLoader
{
    /// <summary>The model.</summary>
    /// <param name="part">The member <c>model</c>.</param>
    public static UnigramModel Load(JsonPart part)
    {
        JsonPart list = part.Child("vocab");
        if (!list.IsArray)
        {
            throw list.Wrong("expected a list of tokens with their scores");
        }
        int count = list.Element.GetArrayLength();
        Dictionary<string, int> ids = new(count, StringComparer.Ordinal);
        double[] scores = new double[count];
        double least = double.PositiveInfinity;
        int id = 0;
        foreach (JsonElement item in list.Element.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Array || item.GetArrayLength() != 2 || item[0].ValueKind != JsonValueKind.String ||
                item[1].ValueKind != JsonValueKind.Number)
            {
                throw list.Wrong($"entry {id} is not a token with its score");
            }
            string text = list.Within(item[0]).Text();
            scores[id] = item[1].GetDouble();
            if (!double.IsFinite(scores[id]))
            {
                throw list.Wrong($"the score of entry {id}, \"{text}\", is not finite");
            }
            if (!ids.TryAdd(text, id))
            {
                throw list.Wrong($"\"{text}\" is listed twice, as entries {ids[text]} and {id}");
            }
            least = Math.Min(least, scores[id]);
            id++;
        }
        JsonPart unknown = part.Child("unk_id");
        if (unknown.IsNull)
        {
            throw unknown.Unsupported("a Unigram model without an unknown token");
        }
        int unknownId = unknown.Integer();
        if ((uint)unknownId >= (uint)count)
        {
            throw unknown.Wrong($"{unknownId} is not an index of the {count} entries");
        }
        bool[] segments = new bool[count];
        Array.Fill(segments, value: true);
        var options = new BpeOptions(
            ByteLevel: false, IgnoreMerges: false, part.Flag("byte_fallback", absent: false), FuseUnknown: true, unknownId);
        return new UnigramModel(
            new BpeVocabulary(ids), new UnigramScores(scores, segments, least - UnigramScores.UnknownPenalty, SinglePrecision: false), options);
    }
}
