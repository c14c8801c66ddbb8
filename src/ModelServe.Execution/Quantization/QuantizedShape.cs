namespace ModelServe.Execution.Quantization;

/// <summary>Where the numbers of a quantised matrix [Rows, Columns] lie.</summary>
/// <remarks>
/// Panels of 16 rows stand one after the other; a panel is a run of blocks of two groups of <see cref="GroupColumns"/> columns. A block
/// is one line of 64 bytes with the scales, row r's as bfloat16 in bytes 4 r, 4 r + 1 for the first group and 4 r + 2, 4 r + 3 for the
/// second; then the lines of the first group, then those of the second. In 8 bits a line holds 4 columns, row r's in bytes
/// 4 r .. 4 r + 3; in 4 bits it holds 8, row r's first four in the low halves of those bytes and the next four in the high halves. So
/// one register holds four columns of sixteen rows, as the processor's dot products of bytes take them, and a thread reads one
/// stream. Elements are stored with <see cref="QuantizedFormats.Offset"/> added. Rows and columns that fill the last panel and block up
/// are zero bytes: their scale is zero.
/// </remarks>
/// <param name="Format">How the elements are stored.</param>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
internal readonly record struct QuantizedShape(QuantizedFormat Format, int Rows, int Columns)
{
    /// <summary>Rows of a panel: the 32-bit lanes of a 512-bit register.</summary>
    public const int PanelRows = 16;

    /// <summary>Columns that share a scale.</summary>
    /// <remarks>
    /// 64: an eighth of a bit more for each weight than 128, and a quarter less than 32; scales cost a ninth of the multiplications.
    /// </remarks>
    public const int GroupColumns = 64;

    /// <summary>Bytes of a line.</summary>
    public const int LineBytes = 64;

    /// <summary>Panels of the matrix.</summary>
    public int Panels => (Rows + PanelRows - 1) / PanelRows;

    /// <summary>Blocks of a panel.</summary>
    public int Blocks => (Columns + (2 * GroupColumns) - 1) / (2 * GroupColumns);

    /// <summary>Groups of a row, those of the padding too.</summary>
    public int Groups => 2 * Blocks;

    /// <summary>Columns with the padding.</summary>
    public int PaddedColumns => Groups * GroupColumns;

    /// <summary>Bytes of one group of a panel, without its scales.</summary>
    public int GroupBytes => GroupColumns * PanelRows * Format.Bits() / 8;

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes => LineBytes + (2 * GroupBytes);

    /// <summary>Bytes of a panel.</summary>
    public long PanelBytes => (long)Blocks * BlockBytes;

    /// <summary>Bytes of the matrix.</summary>
    public long Bytes => Panels * PanelBytes;

    /// <summary>Where the scale of a row's group is, in bytes from the start.</summary>
    public long ScaleOffset(int row, int group) =>
        BlockOffset(row, group) + (row % PanelRows * 4) + (group % 2 * sizeof(ushort));

    /// <summary>Where a row's first four bytes of a group are; the next four are one line on.</summary>
    public long GroupOffset(int row, int group) =>
        BlockOffset(row, group) + LineBytes + ((long)(group % 2) * GroupBytes) + (row % PanelRows * 4);

    private long BlockOffset(int row, int group) => (row / PanelRows * PanelBytes) + ((long)(group / 2) * BlockBytes);
}
