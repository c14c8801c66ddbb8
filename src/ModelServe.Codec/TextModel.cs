#pragma warning disable CA1822 // the bodies follow
using ModelServe.Codec.Chat;

namespace ModelServe.Codec;

/// <summary>The text side of one checkpoint: tokenizer, chat template, generation defaults, stop ids. Immutable and thread-safe.</summary>
public sealed class TextModel
{
    private TextModel(HfTokenizer tokenizer, GenerationDefaults defaults, IReadOnlyList<int> stopTokenIds)
    {
        Tokenizer = tokenizer;
        Defaults = defaults;
        StopTokenIds = stopTokenIds;
    }

    /// <summary>Text ↔ ids.</summary>
    public HfTokenizer Tokenizer { get; }

    /// <summary>Whether the checkpoint has a chat template; without one <see cref="EncodeChat"/> refuses.</summary>
    public bool HasChatTemplate { get; private init; }

    /// <summary>What generation_config.json recommends.</summary>
    public GenerationDefaults Defaults { get; }

    /// <summary>Ids that end an answer, ascending: from generation_config.json, config.json and tokenizer_config.json.</summary>
    public IReadOnlyList<int> StopTokenIds { get; }

    /// <summary>Reads a checkpoint directory.</summary>
    /// <exception cref="InvalidTextModelException">A file is missing or contradicts itself; the message names file and field.</exception>
    /// <exception cref="UnsupportedFeatureException">A file asks for what is not implemented; the message names file and feature.</exception>
    public static TextModel Load(string directory)
    {
        HfTokenizer tokenizer = HfTokenizer.Load(directory);
        return new TextModel(tokenizer, GenerationDefaults.Load(directory), []) { HasChatTemplate = false };
    }

    /// <summary>Ids of a raw prompt, with the special tokens that the checkpoint adds (BOS, …).</summary>
    /// <param name="text">User text.</param>
    /// <param name="parseSpecialTokens">
    /// Whether text such as <c>&lt;|im_end|&gt;</c> becomes a control token; false keeps it ordinary text.
    /// </param>
    public int[] EncodePrompt(string text, bool parseSpecialTokens = false) =>
        Tokenizer.EncodeIds(text, addSpecialTokens: true, parseSpecialTokens);

    /// <summary>Ids of a conversation: control tokens come from the template only, never from a message's text.</summary>
    /// <exception cref="UnsupportedFeatureException">The checkpoint has no chat template.</exception>
    /// <exception cref="ArgumentException">A message contains U+FDD0 or a role that is not a name.</exception>
    public int[] EncodeChat(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options) =>
        throw new UnsupportedFeatureException("The checkpoint has no chat template.");
}
