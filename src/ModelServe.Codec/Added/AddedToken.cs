namespace ModelServe.Codec.Added;

/// <summary>A token that is found in the text before the model sees it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
internal sealed record AddedToken(int Id, string Content)
{
    /// <summary>Whether it counts only between non-word characters.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Whether it swallows white space before it.</summary>
    public bool LeftStrip { get; init; }

    /// <summary>Whether it swallows white space after it.</summary>
    public bool RightStrip { get; init; }

    /// <summary>Whether it is looked for in normalized text.</summary>
    public bool Normalized { get; init; }

    /// <summary>Whether it is skipped when decoding so.</summary>
    public bool Special { get; init; }

    /// <summary>
    /// Whether user text must never become it: special tokens, and those that checkpoints mark as ordinary although their form
    /// (<c>&lt;|…|&gt;</c>, also with fullwidth bars) says that they direct the model.
    /// </summary>
    public bool IsControl => Special ||
        (Content.Length > 4 && Content[0] == '<' && Content[^1] == '>' &&
            Content[1] is ('|' or '\uFF5C') && Content[^2] is ('|' or '\uFF5C'));
}
