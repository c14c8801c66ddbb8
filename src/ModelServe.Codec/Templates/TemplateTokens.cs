namespace ModelServe.Codec.Templates;

/// <summary>The special tokens a template may print; a null token leaves its variable undefined.</summary>
/// <param name="Bos">bos_token.</param>
/// <param name="Eos">eos_token.</param>
/// <param name="Pad">pad_token.</param>
/// <param name="Unk">unk_token.</param>
public sealed record TemplateTokens(string? Bos, string? Eos, string? Pad = null, string? Unk = null)
{
    /// <summary>No special tokens at all.</summary>
    public static TemplateTokens None { get; } = new(null, null);

    /// <summary>Any further special-token variables by their full name (cls_token, sep_token, mask_token, image_token, …).</summary>
    public IReadOnlyDictionary<string, string> Further { get; init; } = new Dictionary<string, string>();
}
