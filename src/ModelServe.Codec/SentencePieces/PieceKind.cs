namespace ModelServe.Codec.SentencePieces;

/// <summary>What a piece of a SentencePiece model is, by the numbers of its file.</summary>
internal enum PieceKind
{
    /// <summary>Not in the file.</summary>
    None = 0,

    /// <summary>Ordinary text.</summary>
    Normal = 1,

    /// <summary>The unknown token.</summary>
    Unknown = 2,

    /// <summary>A token that directs the model.</summary>
    Control = 3,

    /// <summary>Text that always stays whole.</summary>
    UserDefined = 4,

    /// <summary>Text that must not be used.</summary>
    Unused = 5,

    /// <summary>One byte, as <c>&lt;0xNN&gt;</c>.</summary>
    Byte = 6,
}
