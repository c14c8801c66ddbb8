#pragma warning disable CA1822 // the bodies follow
using System.Buffers;
using Microsoft.ML.Tokenizers;
using ModelServe.Codec.Streaming;

namespace ModelServe.Codec;

/// <summary>The tokenizer of a Hugging Face checkpoint (tokenizer.json). Immutable and thread-safe.</summary>
public sealed class HfTokenizer : Tokenizer
{
    /// <summary>Highest id + 1, added tokens included; ids below it may be unused.</summary>
    public int VocabularySize { get; }

    /// <summary>Reads tokenizer.json and the files beside it that change ids.</summary>
    /// <exception cref="InvalidTextModelException">A file is missing or contradicts itself; the message names file and field.</exception>
    /// <exception cref="UnsupportedFeatureException">A file asks for what is not implemented; the message names file and feature.</exception>
    public static HfTokenizer Load(string directory) => throw new InvalidTextModelException("The tokenizer is not built yet.");

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
    /// <param name="protectedPositions">Ascending indexes of characters that no control token may cover.</param>
    public int[] EncodeIds(string text, bool addSpecialTokens, bool parseSpecialTokens, ReadOnlySpan<int> protectedPositions) =>
        throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <summary>Text of whole ids; the same as a stream decoded to its end.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An id is not in the vocabulary.</exception>
    public string DecodeIds(ReadOnlySpan<int> ids, bool skipSpecialTokens) => throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <summary>A decoder for one stream of ids; not thread-safe.</summary>
    public IncrementalDecoder CreateDecoder(bool skipSpecialTokens) => throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <summary>Whether the id is a special token: skipped when decoding so, never made from user text.</summary>
    public bool IsSpecial(int id) => throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <summary>The token as the vocabulary writes it (byte-level characters, U+2581 for space); null for an unused id.</summary>
    public string? TokenText(int id) => throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <summary>The id of a token as the vocabulary writes it, or null.</summary>
    public int? FindToken(string text) => throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        throw new InvalidTextModelException("The tokenizer is not built yet.");

    /// <inheritdoc/>
    public override OperationStatus Decode(IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten) =>
        throw new InvalidTextModelException("The tokenizer is not built yet.");
}
