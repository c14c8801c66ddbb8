using ModelServe.Codec.Added;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Loading;

/// <summary>Reads which ids stand before and after every encoded text.</summary>
internal sealed class PostProcessorLoader
{
    private readonly List<int> _before = [];
    private readonly List<int> _after = [];
    private readonly BpeVocabulary _vocabulary;
    private readonly IReadOnlyDictionary<int, AddedToken> _added;

    private PostProcessorLoader(BpeVocabulary vocabulary, IReadOnlyDictionary<int, AddedToken> added)
    {
        _vocabulary = vocabulary;
        _added = added;
    }

    /// <summary>The ids before and after a text.</summary>
    /// <param name="file">The root of tokenizer.json.</param>
    /// <param name="settings">The files beside it: Llama's and Gemma's classes replace the post-processor by their own.</param>
    /// <param name="vocabulary">The model's own tokens.</param>
    /// <param name="added">The added tokens.</param>
    public static (int[] Before, int[] After) Load(
        JsonPart file, TokenizerSettings settings, BpeVocabulary vocabulary, IReadOnlyDictionary<int, AddedToken> added)
    {
        var loader = new PostProcessorLoader(vocabulary, added);
        if (settings.TokenizerClass is "LlamaTokenizer" or "CodeLlamaTokenizer" or "GemmaTokenizer")
        {
            loader.Rewrite(settings);
        }
        else if (!file.Child("post_processor").IsNull)
        {
            loader.Read(file.Child("post_processor"));
        }
        return ([.. loader._before], [.. loader._after]);
    }

    /// <summary>The ids before and after a text where no tokenizer.json says anything: as tokenizer_config.json asks.</summary>
    public static (int[] Before, int[] After) Load(
        TokenizerSettings settings, BpeVocabulary vocabulary, IReadOnlyDictionary<int, AddedToken> added)
    {
        var loader = new PostProcessorLoader(vocabulary, added);
        loader.Rewrite(settings);
        return ([.. loader._before], [.. loader._after]);
    }

    private void Rewrite(TokenizerSettings settings)
    {
        if (settings.AddBos ?? true)
        {
            _before.Add(Named(settings, "bos_token", "add_bos_token"));
        }
        if (settings.AddEos ?? false)
        {
            _after.Add(Named(settings, "eos_token", "add_eos_token"));
        }
    }

    private int Named(TokenizerSettings settings, string name, string asking)
    {
        string text = settings.Named(name) ??
            throw new InvalidTextModelException($"tokenizer_config.json: {asking} asks for {name}, which is not given.");
        return Find(text) ?? throw new InvalidTextModelException($"tokenizer_config.json: {name} \"{text}\" is not a token.");
    }

    private int? Find(string text)
    {
        AddedToken? added = _added.Values.FirstOrDefault(token => token.Content == text);
        int id = added?.Id ?? _vocabulary.Find(text);
        return id < 0 ? null : id;
    }

    private void Read(JsonPart part)
    {
        switch (part.Tag())
        {
            case "ByteLevel":
                break;
            case "Sequence":
                foreach (JsonPart item in part.Child("processors").Items())
                {
                    Read(item);
                }
                break;
            case "TemplateProcessing":
                Template(part);
                break;
            case "BertProcessing" or "RobertaProcessing":
                _before.Insert(0, Pair(part.Child("cls")));
                _after.Add(Pair(part.Child("sep")));
                break;
            default:
                throw part.Unsupported($"the post-processor {part.Tag()}");
        }
    }

    private void Template(JsonPart part)
    {
        List<int> before = [];
        bool seen = false;
        foreach (JsonPart item in part.Child("single").Items())
        {
            JsonPart special = item.Child("SpecialToken");
            if (!special.IsNull)
            {
                (seen ? _after : before).AddRange(SpecialIds(part, special.Child("id")));
                continue;
            }
            if (item.Child("Sequence").IsNull || item.Child("Sequence").Child("id").Text() != "A" || seen)
            {
                throw item.Unsupported("a template for one text that does not hold the sequence A exactly once");
            }
            seen = true;
        }
        if (!seen)
        {
            throw part.Child("single").Unsupported("a template that leaves the text out");
        }
        _before.InsertRange(0, before);
    }

    private static IEnumerable<int> SpecialIds(JsonPart template, JsonPart name)
    {
        JsonPart entry = template.Child("special_tokens").Child(name.Text());
        if (entry.IsNull)
        {
            throw name.Wrong($"\"{name.Text()}\" is not among the template's special_tokens");
        }
        foreach (JsonPart id in entry.Child("ids").Items())
        {
            int value = id.Integer();
            yield return value >= 0 ? value : throw id.Wrong($"the id {value} is negative");
        }
    }

    private static int Pair(JsonPart pair)
    {
        JsonPart[] items = [.. pair.Items()];
        return items.Length == 2 ? items[1].Integer() : throw pair.Wrong("expected a token and its id");
    }
}
