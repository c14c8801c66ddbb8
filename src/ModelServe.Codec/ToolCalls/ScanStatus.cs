namespace ModelServe.Codec.ToolCalls;

/// <summary>What a scanner says after one more character.</summary>
internal enum ScanStatus
{
    /// <summary>The character was taken; more may follow.</summary>
    More,

    /// <summary>The character was taken and was the last.</summary>
    Done,

    /// <summary>What was scanned was complete before this character, which was not taken.</summary>
    DoneBefore,

    /// <summary>The text is not of this form; the character was not taken.</summary>
    Failed,
}
