using System.Buffers;
using System.Text;
using Microsoft.ML.Tokenizers;
using ModelServe.Codec.Added;
using ModelServe.Codec.Decoding;
using ModelServe.Codec.Loading;
using ModelServe.Codec.Merging;
using ModelServe.Codec.Streaming;
using ModelServe.Codec.Tokenizing;

namespace ModelServe.Codec;

/// <summary>
/// The tokenizer of a Hugging Face checkpoint (tokenizer.json): the same ids and texts as its own library gives. Immutable but for
/// a bounded cache of words; thread-safe. The members of the base class treat text as user text: control tokens written out
/// in it stay text, and none are added.
/// </summary>
public sealed class HfTokenizer : Tokenizer
{
    private readonly TokenizerFile _file;
    private readonly TextEncoder _encoder;
    private readonly string?[] _texts;
    private readonly bool[] _special;
    private readonly Dictionary<string, int> _addedIds;
    private readonly SpellingTable _spellings;

    private HfTokenizer(TokenizerFile file)
    {
        _file = file;
        _encoder = new TextEncoder(file);
        VocabularySize = Math.Max(file.Model.Vocabulary.Ids.Values.DefaultIfEmpty(-1).Max(), file.Added.Keys.DefaultIfEmpty(-1).Max()) + 1;
        _texts = new string?[VocabularySize];
        _special = new bool[VocabularySize];
        _addedIds = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach ((string text, int id) in file.Model.Vocabulary.Ids)
        {
            _texts[id] = text;
        }
        foreach (AddedToken token in file.Added.Values)
        {
            // A token that is looked for in normalized text is also written so: the reference library's rule.
            _texts[token.Id] = token.Normalized && file.Normalizer is { } normalizer ? normalizer.Normalize(token.Content) : token.Content;
            _special[token.Id] = token.Special;
            _addedIds[token.Content] = token.Id;
        }
        _spellings = new SpellingTable(this, file.Decoder);
    }

    /// <summary>Highest id + 1, added tokens included; ids below it may be unused.</summary>
    public int VocabularySize { get; }

    /// <summary>Texts of all control tokens: those that user text never becomes.</summary>
    internal IEnumerable<string> ControlTexts => _file.Added.Values.Where(token => token.IsControl).Select(token => token.Content);

    /// <summary>Reads tokenizer.json and the files beside it that change ids.</summary>
    /// <exception cref="InvalidTextModelException">A file is missing or contradicts itself; the message names file and field.</exception>
    /// <exception cref="UnsupportedFeatureException">A file asks for what is not implemented; the message names file and feature.</exception>
    public static HfTokenizer Load(string directory)
    {
        using TokenizerSettings settings = TokenizerSettings.Load(directory);
        return Load(directory, settings);
    }

    /// <summary>Ids of a text.</summary>
    /// <param name="text">Any text; a lone surrogate counts as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its tokens (BOS, …).</param>
    /// <param name="parseSpecialTokens">Whether control tokens written out in the text are recognised; false makes them ordinary text.</param>
    public int[] EncodeIds(string text, bool addSpecialTokens, bool parseSpecialTokens) =>
        EncodeIds(text, addSpecialTokens, parseSpecialTokens, []);

    /// <summary>Ids of a text in which some characters must not take part in a control token.</summary>
    /// <param name="text">Any text; a lone surrogate counts as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether the post-processor adds its tokens (BOS, …).</param>
    /// <param name="parseSpecialTokens">Whether control tokens written out in the text are recognised.</param>
    /// <param name="protectedPositions">Ascending indexes of the chars of <paramref name="text"/> that no control token may cover.</param>
    public int[] EncodeIds(string text, bool addSpecialTokens, bool parseSpecialTokens, ReadOnlySpan<int> protectedPositions)
    {
        var ids = new IdBuffer();
        if (addSpecialTokens)
        {
            AddAll(ids, _file.Before);
        }
        _encoder.Encode(text, new EncodeRules(parseSpecialTokens), protectedPositions, ids, observer: null);
        if (addSpecialTokens)
        {
            AddAll(ids, _file.After);
        }
        return ids.ToArray();
    }

    /// <summary>Text of whole ids; the same as a stream decoded to its end. Ids that the vocabulary does not use give no text.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative.</exception>
    public string DecodeIds(ReadOnlySpan<int> ids, bool skipSpecialTokens)
    {
        IncrementalDecoder decoder = CreateDecoder(skipSpecialTokens);
        var output = new StringBuilder();
        foreach (int id in ids)
        {
            decoder.Append(id, output);
        }
        decoder.Flush(output);
        return output.ToString();
    }

    /// <summary>A decoder for one stream of ids; not thread-safe.</summary>
    public IncrementalDecoder CreateDecoder(bool skipSpecialTokens) => new(this, _file.Decoder, skipSpecialTokens);

    /// <summary>What one token reads like by itself, as log probabilities show it; made once a token and kept.</summary>
    /// <param name="id">Any id; one that the vocabulary does not use reads as nothing.</param>
    /// <param name="atStart">Whether it is the first of its text, where a SentencePiece tokenizer drops a space.</param>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative.</exception>
    public TokenSpelling Spell(int id, bool atStart = false) => _spellings.Get(id, atStart);

    /// <summary>Follows one sequence for its log probabilities; not thread-safe.</summary>
    /// <param name="skipSpecialTokens">Whether the text leaves special tokens out, so that they take no room in it.</param>
    public TokenSpeller CreateSpeller(bool skipSpecialTokens) => new(this, skipSpecialTokens);

    /// <summary>Whether the id is a special token: skipped when decoding so, never made from user text.</summary>
    public bool IsSpecial(int id) => (uint)id < (uint)_special.Length && _special[id];

    /// <summary>The token as the vocabulary writes it (byte-level characters, U+2581 for space); null for an unused id.</summary>
    public string? TokenText(int id) => (uint)id < (uint)_texts.Length ? _texts[id] : null;

    /// <summary>The id of a token as the vocabulary writes it, or null.</summary>
    public int? FindToken(string text)
    {
        if (_addedIds.TryGetValue(text, out int added))
        {
            return added;
        }
        int id = _file.Model.Vocabulary.Find(text);
        return id < 0 ? null : id;
    }

    /// <inheritdoc/>
    public override string Decode(IEnumerable<int> ids) => DecodeIds([.. ids], skipSpecialTokens: false);

    /// <summary>
    /// Decodes as many ids as fit. An incomplete character at the end is left out, its ids uncounted, and reported as
    /// <see cref="OperationStatus.NeedMoreData"/>.
    /// </summary>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        IncrementalDecoder decoder = CreateDecoder(skipSpecialTokens: false);
        var text = new StringBuilder();
        int taken = 0;
        idsConsumed = 0;
        charsWritten = 0;
        foreach (int id in ids)
        {
            decoder.Append(id, text);
            taken++;
            if (charsWritten + text.Length > destination.Length)
            {
                return OperationStatus.DestinationTooSmall;
            }
            if (!decoder.HoldsText)
            {
                text.CopyTo(0, destination[charsWritten..], text.Length);
                charsWritten += text.Length;
                text.Clear();
                idsConsumed = taken;
            }
        }
        return idsConsumed == taken ? OperationStatus.Done : OperationStatus.NeedMoreData;
    }

    internal static HfTokenizer Load(string directory, TokenizerSettings settings) => new(TokenizerFile.Load(directory, settings));

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        string input = text ?? textSpan.ToString();
        var observer = new TokenObserver(this, _file.Model, settings.MaxTokenCount);
        _encoder.Encode(input, Rules(settings), [], new IdBuffer(), observer);
        string seen = observer.SeenText;
        return new EncodeResults<EncodedToken>
        {
            Tokens = observer.Tokens,
            NormalizedText = string.Equals(seen, input, StringComparison.Ordinal) ? null : seen,
            CharsConsumed = observer.CharsConsumed,
        };
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        if (settings.MaxTokenCount == int.MaxValue)
        {
            string input = text ?? textSpan.ToString();
            var ids = new IdBuffer();
            _encoder.Encode(input, Rules(settings), [], ids, observer: null);
            return new EncodeResults<int> { Tokens = ids.ToArray(), NormalizedText = null, CharsConsumed = input.Length };
        }
        EncodeResults<EncodedToken> tokens = EncodeToTokens(text, textSpan, settings);
        return new EncodeResults<int>
        {
            Tokens = [.. tokens.Tokens.Select(token => token.Id)],
            NormalizedText = tokens.NormalizedText,
            CharsConsumed = tokens.CharsConsumed,
        };
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    private static EncodeRules Rules(EncodeSettings settings) =>
        new(ParseControl: false) { Normalize = settings.ConsiderNormalization, Split = settings.ConsiderPreTokenization };

    private static void AddAll(IdBuffer buffer, IReadOnlyList<int> ids)
    {
        for (int index = 0; index < ids.Count; index++)
        {
            buffer.Add(ids[index]);
        }
    }
}
