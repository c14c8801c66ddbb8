using System.Text.RegularExpressions;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Reads the pre-tokenizer of tokenizer.json as a list of stages.</summary>
internal sealed class PreTokenizerLoader
{
    private readonly List<IPreTokenizerStage> _stages = [];

    private PreTokenizerLoader()
    {
    }

    /// <summary>The stages, and whether the model sees bytes because the last pre-tokenizer is ByteLevel.</summary>
    public static (List<IPreTokenizerStage> Stages, bool ByteLevel) Load(JsonPart part)
    {
        var loader = new PreTokenizerLoader();
        List<JsonPart> flat = [];
        if (!part.IsNull)
        {
            Flatten(part, flat);
        }
        for (int index = 0; index < flat.Count; index++)
        {
            loader.Add(flat[index], isLast: index == flat.Count - 1);
        }
        return (loader._stages, flat.Count > 0 && flat[^1].Tag() == "ByteLevel");
    }

    private static void Flatten(JsonPart part, List<JsonPart> flat)
    {
        if (part.Tag() != "Sequence")
        {
            flat.Add(part);
            return;
        }
        foreach (JsonPart item in part.Child("pretokenizers").Items())
        {
            Flatten(item, flat);
        }
    }

    private void Add(JsonPart part, bool isLast)
    {
        switch (part.Tag())
        {
            case "Split":
                AddSplit(part);
                break;
            case "ByteLevel":
                AddByteLevel(part, isLast);
                break;
            case "Digits":
                _stages.Add(new CharacterStage(
                    CharacterClasses.IsNumber,
                    part.Flag("individual_digits", absent: false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous));
                break;
            case "Punctuation":
                _stages.Add(new CharacterStage(CharacterClasses.IsPunctuation, Behavior(part, absent: SplitBehavior.Isolated)));
                break;
            case "WhitespaceSplit":
                AddWhitespaceSplit();
                break;
            case "BertPreTokenizer":
                AddWhitespaceSplit();
                _stages.Add(new CharacterStage(CharacterClasses.IsPunctuation, SplitBehavior.Isolated));
                break;
            case "Whitespace":
                _stages.Add(new WordStage());
                break;
            case "Metaspace":
                AddMetaspace(part);
                break;
            default:
                throw part.Unsupported($"the pre-tokenizer {part.Tag()}");
        }
    }

    private void AddWhitespaceSplit() => _stages.Add(
        new CharacterStage(code => code < 0x10000 && CharacterClasses.IsSpace((char)code), SplitBehavior.Removed));

    private void AddByteLevel(JsonPart part, bool isLast)
    {
        if (part.Flag("add_prefix_space", absent: true))
        {
            _stages.Add(new LeadingSpaceStage());
        }
        if (part.Flag("use_regex", absent: true))
        {
            _stages.Add(new ScannerStage(new Gpt2Scanner()));
        }
        if (!isLast)
        {
            _stages.Add(new ByteTextStage());
        }
    }

    private void AddSplit(JsonPart part)
    {
        SplitBehavior behavior = Behavior(part, absent: null);
        bool invert = part.Flag("invert", absent: false);
        JsonPart pattern = part.Child("pattern");
        JsonPart literal = pattern.Child("String");
        if (!literal.IsNull)
        {
            if (literal.Text().Length == 0)
            {
                throw literal.Wrong("an empty pattern");
            }
            _stages.Add(new LiteralStage(literal.Text(), behavior, invert));
            return;
        }
        JsonPart regex = pattern.Child("Regex");
        bool keepsMatches = behavior == SplitBehavior.Isolated || (behavior == SplitBehavior.Removed && invert);
        if (keepsMatches && Scanner(regex.Text()) is { } scanner)
        {
            _stages.Add(new ScannerStage(scanner));
            return;
        }
        _stages.Add(RegexStage(regex.Text(), regex.Place, behavior, invert));
    }

    /// <summary>The stages of a byte-level model that splits by one pattern and keeps every match.</summary>
    public static List<IPreTokenizerStage> ForPattern(string pattern, string place) =>
        [Scanner(pattern) is { } scanner ? new ScannerStage(scanner) : RegexStage(pattern, place, SplitBehavior.Isolated, invert: false)];

    private static RegexStage RegexStage(string pattern, string place, SplitBehavior behavior, bool invert)
    {
        Regex translated = RegexTranslator.Compile(pattern, place, often: false);
        if (translated.IsMatch(""))
        {
            throw new UnsupportedFeatureException($"{place}: a split pattern that matches the empty text (\"{pattern}\") is not supported.");
        }
        PatternAutomaton? automaton = PatternAutomaton.TryBuild(translated.ToString());
        return new RegexStage(automaton is null ? RegexTranslator.Compile(pattern, place) : translated, automaton, behavior, invert);
    }

    private static IPieceScanner? Scanner(string pattern) => pattern switch
    {
        Gpt2Scanner.Pattern => new Gpt2Scanner(),
        Cl100kScanner.ThreeDigitPattern => new Cl100kScanner(3),
        Cl100kScanner.OneDigitPattern => new Cl100kScanner(1),
        O200kScanner.O200kPattern => new O200kScanner(3, contractions: true),
        O200kScanner.TekkenPattern => new O200kScanner(1, contractions: false),
        _ => null,
    };

    private void AddMetaspace(JsonPart part)
    {
        string marker = part.OptionalText("replacement") ?? "\u2581";
        if (marker.Length != 1)
        {
            throw part.Child("replacement").Unsupported("a marker that is not one UTF-16 unit");
        }
        _stages.Add(new MetaspaceStage(marker[0], Scheme(part), part.Flag("split", absent: true)));
    }

    /// <summary>The prepend scheme; the older add_prefix_space may say no, but must not contradict it.</summary>
    internal static PrependScheme Scheme(JsonPart part)
    {
        string? written = part.OptionalText("prepend_scheme");
        PrependScheme scheme = written switch
        {
            null or "always" => PrependScheme.Always,
            "never" => PrependScheme.Never,
            "first" => PrependScheme.First,
            _ => throw part.Child("prepend_scheme").Unsupported($"the scheme \"{written}\""),
        };
        if (part.Flag("add_prefix_space", absent: true) || scheme == PrependScheme.Never)
        {
            return scheme;
        }
        return written is null ? PrependScheme.Never : throw part.Wrong("add_prefix_space contradicts prepend_scheme");
    }

    private static SplitBehavior Behavior(JsonPart part, SplitBehavior? absent)
    {
        JsonPart written = part.Child("behavior");
        if (written.IsNull && absent is { } value)
        {
            return value;
        }
        return written.Text() switch
        {
            "Removed" => SplitBehavior.Removed,
            "Isolated" => SplitBehavior.Isolated,
            "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
            "MergedWithNext" => SplitBehavior.MergedWithNext,
            "Contiguous" => SplitBehavior.Contiguous,
            string other => throw written.Unsupported($"the behavior \"{other}\""),
        };
    }
}
