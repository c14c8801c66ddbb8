using ModelServe.Codec.Decoding;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Reads the decoder of tokenizer.json.</summary>
internal sealed class DecoderLoader
{
    private readonly List<Func<DecoderStage, DecoderStage>> _stages = [];

    // Behind ByteLevel or Fuse the text arrives in parts of one token; what looks at whole tokens cannot stand there.
    private bool _joined;
    private bool _byteLevel;
    private bool _byteFallback;

    private DecoderLoader()
    {
    }

    /// <summary>The decoders in order.</summary>
    public static DecoderPlan Load(JsonPart part)
    {
        var loader = new DecoderLoader();
        if (part.IsNull)
        {
            loader._stages.Add(next => new SpaceJoinDecoder(next));
        }
        else
        {
            loader.Add(part);
        }
        return new DecoderPlan(loader._stages)
        {
            IsByteLevel = loader._byteLevel && loader._stages.Count == 1,
            HasByteFallback = loader._byteFallback,
        };
    }

    private void Add(JsonPart part)
    {
        switch (part.Tag())
        {
            case "Sequence":
                foreach (JsonPart item in part.Child("decoders").Items())
                {
                    Add(item);
                }
                break;
            case "ByteLevel":
                RefuseJoined(part);
                _stages.Add(next => new ByteLevelDecoder(next));
                _byteLevel = true;
                _joined = true;
                break;
            case "ByteFallback":
                RefuseJoined(part);
                _stages.Add(next => new ByteFallbackDecoder(next));
                _byteFallback = true;
                break;
            case "Fuse":
                _joined = true;
                break;
            case "WordPiece":
                RefuseJoined(part);
                string prefix = part.OptionalText("prefix") ?? "##";
                bool cleanup = part.Flag("cleanup", absent: true);
                _stages.Add(next => new WordPieceDecoder(next, prefix, cleanup));
                break;
            case "Replace":
                AddReplace(part);
                break;
            case "Strip":
                AddStrip(part);
                break;
            case "Metaspace":
                RefuseJoined(part);
                AddMetaspace(part);
                break;
            default:
                throw part.Unsupported($"the decoder {part.Tag()}");
        }
    }

    private void RefuseJoined(JsonPart part)
    {
        if (_joined)
        {
            throw part.Unsupported($"the decoder {part.Tag()} behind ByteLevel or Fuse");
        }
    }

    private void AddReplace(JsonPart part)
    {
        JsonPart pattern = part.Child("pattern");
        if (!pattern.Child("Regex").IsNull)
        {
            throw pattern.Unsupported("a regular expression in a decoder");
        }
        string literal = pattern.Child("String").Text();
        if (literal.Length == 0)
        {
            throw pattern.Wrong("an empty pattern");
        }
        if (literal.Length > 1)
        {
            RefuseJoined(part);
        }
        string content = part.Child("content").Text();
        _stages.Add(next => new ReplaceDecoder(next, literal, content));
    }

    private void AddStrip(JsonPart part)
    {
        string content = part.Child("content").Text();
        if (content.Length != 1)
        {
            throw part.Child("content").Unsupported("a content that is not one UTF-16 unit");
        }
        int start = part.Child("start").Integer();
        int stop = part.Child("stop").Integer();
        if (!_joined)
        {
            _stages.Add(next => new StripDecoder(next, content[0], start, stop));
            return;
        }
        if (stop != 0)
        {
            throw part.Child("stop").Unsupported("stripping the end of the joined text");
        }
        _stages.Add(next => new StreamStartStrip(next, content[0], start));
    }

    private void AddMetaspace(JsonPart part)
    {
        string marker = part.OptionalText("replacement") ?? "\u2581";
        if (marker.Length != 1)
        {
            throw part.Child("replacement").Unsupported("a marker that is not one UTF-16 unit");
        }
        bool drops = PreTokenizerLoader.Scheme(part) != PrependScheme.Never;
        _stages.Add(next => new MetaspaceDecoder(next, marker[0], drops));
    }
}
