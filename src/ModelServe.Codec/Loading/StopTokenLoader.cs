using System.Text.Json;

namespace ModelServe.Codec.Loading;

/// <summary>Merges the ids that end an answer from the three files that name them.</summary>
internal static class StopTokenLoader
{
    /// <summary>The ids, ascending: eos_token_id of generation_config.json and config.json, eos_token of the tokenizer's settings.</summary>
    /// <exception cref="InvalidTextModelException">A named id or token does not exist in the vocabulary.</exception>
    public static int[] Load(string directory, GenerationDefaults defaults, TokenizerSettings settings, HfTokenizer tokenizer)
    {
        SortedSet<int> ids = [.. defaults.EosTokenIds];
        using JsonDocument? document = JsonPart.ReadOptional(directory, "config.json");
        if (document is not null)
        {
            var config = new JsonPart(document.RootElement, "config.json", "");
            ids.UnionWith(GenerationDefaults.EosIds(config));
            if (config.Child("text_config").IsObject)
            {
                ids.UnionWith(GenerationDefaults.EosIds(config.Child("text_config")));
            }
        }
        if (settings.Named("eos_token") is { } text)
        {
            ids.Add(tokenizer.FindToken(text) ??
                throw new InvalidTextModelException($"tokenizer_config.json: eos_token \"{text}\" is not a token."));
        }
        return [.. ids];
    }
}
