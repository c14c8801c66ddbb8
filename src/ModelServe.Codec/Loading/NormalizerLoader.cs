using System.Text;
using ModelServe.Codec.Normalizing;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Reads the normalizer of tokenizer.json.</summary>
internal static class NormalizerLoader
{
    /// <summary>The normalizer, or null where text stays as it is.</summary>
    public static ITextNormalizer? Load(JsonPart part)
    {
        List<ITextNormalizer> steps = [];
        if (!part.IsNull)
        {
            Add(part, steps);
        }
        return steps.Count switch
        {
            0 => null,
            1 => steps[0],
            _ => new NormalizerChain(steps),
        };
    }

    private static void Add(JsonPart part, List<ITextNormalizer> steps)
    {
        switch (part.Tag())
        {
            case "Sequence":
                foreach (JsonPart item in part.Child("normalizers").Items())
                {
                    Add(item, steps);
                }
                break;
            case "NFC":
                steps.Add(new UnicodeFormNormalizer(NormalizationForm.FormC));
                break;
            case "NFD":
                steps.Add(new UnicodeFormNormalizer(NormalizationForm.FormD));
                break;
            case "NFKC":
                steps.Add(new UnicodeFormNormalizer(NormalizationForm.FormKC));
                break;
            case "NFKD":
                steps.Add(new UnicodeFormNormalizer(NormalizationForm.FormKD));
                break;
            case "Replace":
                AddReplacement(part, steps);
                break;
            case "Prepend":
                steps.Add(new Prefix(part.Child("prepend").Text()));
                break;
            case "Strip":
                steps.Add(new EdgeStrip(part.Flag("strip_left", absent: true), part.Flag("strip_right", absent: true)));
                break;
            case "StripAccents":
                steps.Add(new AccentStrip());
                break;
            case "Lowercase":
                steps.Add(new LowerCase());
                break;
            case "Precompiled":
                steps.Add(Precompiled(part.Child("precompiled_charsmap")));
                break;
            case "BertNormalizer":
                AddBert(part, steps);
                break;
            default:
                throw part.Unsupported($"the normalizer {part.Tag()}");
        }
    }

    private static PrecompiledNormalizer Precompiled(JsonPart table)
    {
        try
        {
            return new PrecompiledNormalizer(CharsMap.Read(Convert.FromBase64String(table.Text())));
        }
        catch (FormatException failure)
        {
            throw new InvalidTextModelException($"{table.Place}: {failure.Message}.", failure);
        }
    }

    private static void AddBert(JsonPart part, List<ITextNormalizer> steps)
    {
        bool lowers = part.Flag("lowercase", absent: true);
        if (part.Flag("clean_text", absent: true))
        {
            steps.Add(new BertCleaning());
        }
        if (part.Flag("handle_chinese_chars", absent: true))
        {
            steps.Add(new ChineseSpacing());
        }
        if (part.Flag("strip_accents", absent: lowers))
        {
            steps.Add(new UnicodeFormNormalizer(NormalizationForm.FormD));
            steps.Add(new NonspacingStrip());
        }
        if (lowers)
        {
            steps.Add(new LowerCase());
        }
    }

    private static void AddReplacement(JsonPart part, List<ITextNormalizer> steps)
    {
        string content = part.Child("content").Text();
        JsonPart pattern = part.Child("pattern");
        if (!pattern.Child("Regex").IsNull)
        {
            JsonPart regex = pattern.Child("Regex");
            steps.Add(new RegexReplacement(RegexTranslator.Compile(regex.Text(), regex.Place), content));
            return;
        }
        string literal = pattern.Child("String").Text();
        if (literal.Length == 0)
        {
            throw pattern.Wrong("an empty pattern");
        }
        steps.Add(new LiteralReplacement(literal, content));
    }
}
