using ModelServe.Codec.Chat;
using ModelServe.Codec.Loading;
using ModelServe.Codec.Templates;

namespace ModelServe.Codec;

/// <summary>The text side of one checkpoint: tokenizer, chat template, generation defaults, stop ids. Immutable and thread-safe.</summary>
public sealed class TextModel
{
    private readonly UserTextGuard _guard;

    private TextModel(HfTokenizer tokenizer, ChatTemplate? chatTemplate, TemplateTokens templateTokens)
    {
        Tokenizer = tokenizer;
        ChatTemplate = chatTemplate;
        TemplateTokens = templateTokens;
        _guard = new UserTextGuard(tokenizer.ControlTexts);
    }

    /// <summary>Text ↔ ids.</summary>
    public HfTokenizer Tokenizer { get; }

    /// <summary>The chat template, or null where the checkpoint has none.</summary>
    public ChatTemplate? ChatTemplate { get; }

    /// <summary>Whether the checkpoint has a chat template; without one <see cref="EncodeChat"/> refuses.</summary>
    public bool HasChatTemplate => ChatTemplate is not null;

    /// <summary>The special tokens that the chat template may print.</summary>
    public TemplateTokens TemplateTokens { get; }

    /// <summary>What generation_config.json recommends.</summary>
    public required GenerationDefaults Defaults { get; init; }

    /// <summary>Ids that end an answer, ascending: from generation_config.json, config.json and tokenizer_config.json.</summary>
    public required IReadOnlyList<int> StopTokenIds { get; init; }

    /// <summary>Reads a checkpoint directory.</summary>
    /// <exception cref="InvalidTextModelException">A file is missing or contradicts itself; the message names file and field.</exception>
    /// <exception cref="UnsupportedFeatureException">A file asks for what is not implemented; the message names file and feature.</exception>
    public static TextModel Load(string directory)
    {
        using TokenizerSettings settings = TokenizerSettings.Load(directory);
        HfTokenizer tokenizer = HfTokenizer.Load(directory, settings);
        GenerationDefaults defaults = GenerationDefaults.Load(directory);
        var templateTokens = new TemplateTokens(
            settings.Named("bos_token"), settings.Named("eos_token"), settings.Named("pad_token"), settings.Named("unk_token"))
        {
            Further = settings.FurtherTokens,
        };
        return new TextModel(tokenizer, ChatTemplate.Load(directory), templateTokens)
        {
            Defaults = defaults,
            StopTokenIds = StopTokenLoader.Load(directory, defaults, settings, tokenizer),
        };
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
    /// <exception cref="ArgumentException">A string contains U+FDD0, or a role is not a name; the message names the field.</exception>
    /// <exception cref="TemplateException">The template refused the conversation, failed, or exceeded a limit.</exception>
    public int[] EncodeChat(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options)
    {
        (string text, int[] guarded) = UserTextGuard.Unmark(Render(messages, options));
        return Tokenizer.EncodeIds(text, addSpecialTokens: false, parseSpecialTokens: true, guarded);
    }

    /// <summary>The text of a conversation as <see cref="EncodeChat"/> encodes it.</summary>
    /// <exception cref="UnsupportedFeatureException">The checkpoint has no chat template.</exception>
    /// <exception cref="ArgumentException">A string contains U+FDD0, or a role is not a name; the message names the field.</exception>
    /// <exception cref="TemplateException">The template refused the conversation, failed, or exceeded a limit.</exception>
    public string RenderChat(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options) =>
        UserTextGuard.Unmark(Render(messages, options)).Text;

    private string Render(IReadOnlyList<ChatMessage> messages, ChatRenderOptions options)
    {
        ChatTemplate template = ChatTemplate ??
            throw new UnsupportedFeatureException("The checkpoint has no chat template; send a raw prompt instead of messages.");
        ChatMessage[] guarded = _guard.Guard(messages);
        if (!options.ContinueFinalMessage)
        {
            return template.Render(guarded, _guard.Guard(options), TemplateTokens);
        }

        guarded[^1] = FinalTurn.Marked(guarded[^1]);
        return FinalTurn.Cut(template.Render(guarded, _guard.Guard(options), TemplateTokens));
    }
}
