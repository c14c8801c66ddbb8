using System.Globalization;
using ModelServe.Codec.Added;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Loading;

/// <summary>Reads added tokens: tokenizer.json's list, corrected and completed by tokenizer_config.json as transformers does.</summary>
internal static class AddedTokenLoader
{
    private const int LargestId = 1 << 24;

    /// <summary>The added tokens by id.</summary>
    /// <param name="file">The root of tokenizer.json.</param>
    /// <param name="settings">The files beside it.</param>
    /// <param name="vocabulary">The model's own tokens.</param>
    public static SortedDictionary<int, AddedToken> Load(JsonPart file, TokenizerSettings settings, BpeVocabulary vocabulary)
    {
        SortedDictionary<int, AddedToken> tokens = [];
        Dictionary<string, int> owners = new(StringComparer.Ordinal);
        JsonPart list = file.Child("added_tokens");
        if (!list.IsNull)
        {
            foreach (JsonPart item in list.Items())
            {
                Add(tokens, Read(item, item.Child("id").Integer()), item, vocabulary, owners);
            }
        }
        if (settings.AddedTokensDecoder is { } decoder)
        {
            foreach ((string key, JsonPart value) in decoder.Members())
            {
                if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
                {
                    throw value.Wrong($"the key \"{key}\" is not a token id");
                }
                Add(tokens, Read(value, id), value, vocabulary, owners);
            }
        }
        AddNamed(tokens, settings, vocabulary);
        return tokens;
    }

    private static void Add(
        SortedDictionary<int, AddedToken> tokens, AddedToken token, JsonPart place, BpeVocabulary vocabulary, Dictionary<string, int> owners)
    {
        if (token.Id is < 0 or > LargestId)
        {
            throw place.Wrong($"the id {token.Id} of \"{token.Content}\" is not between 0 and {LargestId}");
        }
        int known = vocabulary.Find(token.Content);
        if (known >= 0 && known != token.Id)
        {
            throw place.Wrong($"the id {token.Id} of \"{token.Content}\" contradicts the vocabulary's {known}");
        }
        if (tokens.TryGetValue(token.Id, out AddedToken? other) && other.Content != token.Content)
        {
            throw place.Wrong($"the id {token.Id} belongs to both \"{other.Content}\" and \"{token.Content}\"");
        }
        if (token.Content.Length > 0 && !owners.TryAdd(token.Content, token.Id) && owners[token.Content] != token.Id)
        {
            throw place.Wrong($"\"{token.Content}\" has both the id {owners[token.Content]} and the id {token.Id}");
        }
        if (token.Content.Length > 0)
        {
            tokens[token.Id] = token;
        }
    }

    private static AddedToken Read(JsonPart item, int id) => new(id, item.Child("content").Text())
    {
        SingleWord = item.Flag("single_word", absent: false),
        LeftStrip = item.Flag("lstrip", absent: false),
        RightStrip = item.Flag("rstrip", absent: false),
        Special = item.Flag("special", absent: false),
        Normalized = item.Flag("normalized", absent: !item.Flag("special", absent: false)),
    };

    /// <summary>
    /// bos_token and the like that no list mentions become special tokens where the vocabulary has them; one that it lacks would
    /// get an id that the model has no embedding for, and is left out.
    /// </summary>
    private static void AddNamed(SortedDictionary<int, AddedToken> tokens, TokenizerSettings settings, BpeVocabulary vocabulary)
    {
        HashSet<string> known = tokens.Values.Select(token => token.Content).ToHashSet(StringComparer.Ordinal);
        foreach (string name in settings.NamedTokens)
        {
            int id = vocabulary.Find(name);
            if (id >= 0 && known.Add(name))
            {
                tokens[id] = new AddedToken(id, name) { Special = true };
            }
        }
    }
}
