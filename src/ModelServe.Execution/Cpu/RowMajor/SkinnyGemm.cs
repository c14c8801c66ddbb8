using System.Runtime.CompilerServices;
using ModelServe.Execution.Cpu.Vectors;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.RowMajor;

/// <summary>Matrix products of few activation rows with weights as a checkpoint stores them.</summary>
/// <remarks>
/// The weights are read once, in order, from memory; the activation rows, arranged as [group of 4, block of 32 columns, row, 32],
/// meet them in the cache. Arithmetic is float32. A row's result is the same, bit for bit, whatever rows are computed beside it
/// and on however many threads.
/// </remarks>
internal static unsafe class SkinnyGemm
{
    /// <summary>Rows of a group, and weight rows of a tile.</summary>
    public const int GroupRows = 4;

    private const int BlockColumns = 32;
    private const int TailBytes = GroupRows * BlockColumns * sizeof(float);

    // Weights that all groups pass over before the next weights come in: they and one group stay in the second-level cache.
    private const int PanelBytes = 96 << 10;

    /// <summary>Floats that <see cref="GemmWork.Arranged"/> must hold.</summary>
    public static long ArrangedFloats(int count, int columns) => (long)count * RoundedColumns(columns);

    /// <summary>Arranges the activations; one part of several.</summary>
    public static void Arrange(GemmWork* work, ElementType type, int part, int parts)
    {
        if (type == ElementType.BFloat16)
        {
            Arrange<BFloatWeightLanes>(work, part, parts);
        }
        else
        {
            Arrange<SingleWeightLanes>(work, part, parts);
        }
    }

    /// <summary>Computes one part of several, once the activations are arranged.</summary>
    public static void Multiply(GemmWork* work, ElementType type, int part, int parts)
    {
        if (type == ElementType.BFloat16)
        {
            Multiply<BFloatWeightLanes>(work, part, parts);
        }
        else
        {
            Multiply<SingleWeightLanes>(work, part, parts);
        }
    }

    private static int RoundedColumns(int columns) => (columns + BlockColumns - 1) / BlockColumns * BlockColumns;

    private static void Arrange<TWeight>(GemmWork* work, int part, int parts)
        where TWeight : struct, IWeightLanes
    {
        var blocks = RoundedColumns(work->Columns) / BlockColumns;
        var whole = work->Columns / BlockColumns;
        var first = (int)((long)work->Count * part / parts);
        var last = (int)((long)work->Count * (part + 1) / parts);
        var padded = stackalloc float[BlockColumns];
        for (var row = first; row < last; row++)
        {
            var group = row / GroupRows;
            var width = Math.Min(GroupRows, work->Count - (group * GroupRows));
            var source = work->X + (row * work->XStride);
            var target = work->Arranged + ((long)group * GroupRows * blocks * BlockColumns) + (row % GroupRows * BlockColumns);
            for (var block = 0; block < whole; block++)
            {
                TWeight.Arrange(source + (block * BlockColumns), target + ((long)block * width * BlockColumns));
            }

            if (whole < blocks)
            {
                new Span<float>(padded, BlockColumns).Clear();
                new Span<float>(source + (whole * BlockColumns), work->Columns % BlockColumns).CopyTo(new Span<float>(padded, BlockColumns));
                TWeight.Arrange(padded, target + ((long)whole * width * BlockColumns));
            }
        }
    }

    private static void Multiply<TWeight>(GemmWork* work, int part, int parts)
        where TWeight : struct, IWeightLanes
    {
        // Parts end at whole tiles, so that the rows beyond the last tile are the same ones however many parts there are.
        var tiles = (work->Rows + GroupRows - 1) / GroupRows;
        var first = (int)((long)tiles * part / parts);
        var last = (int)((long)tiles * (part + 1) / parts);
        var groups = (work->Count + GroupRows - 1) / GroupRows;
        var tileBytes = (long)GroupRows * work->Columns * TWeight.Size;
        var panel = groups == 1 ? 1 : (int)Math.Clamp(PanelBytes / tileBytes, 1, 1 << 16);
        var tail = stackalloc byte[TailBytes];
        for (var start = first; start < last; start += panel)
        {
            var end = Math.Min(last, start + panel);
            for (var group = 0; group < groups; group++)
            {
                for (var tile = start; tile < end; tile++)
                {
                    // The first pass takes the panel from memory; each pass fetches its share of the next one.
                    var ahead = (tile - start) % groups == group ? panel * tileBytes : 0;
                    OneTile<TWeight>(work, tile, group, ahead, tail);
                }
            }
        }
    }

    private static void OneTile<TWeight>(GemmWork* work, int tile, int group, long ahead, byte* tail)
        where TWeight : struct, IWeightLanes
    {
        var row = tile * GroupRows;
        var rows = Math.Min(GroupRows, work->Rows - row);
        var width = Math.Min(GroupRows, work->Count - (group * GroupRows));
        var rowBytes = (long)work->Columns * TWeight.Size;
        var remainder = work->Columns % BlockColumns;
        GemmTile place;
        place.Weight = work->Weight + (row * rowBytes);
        place.RowBytes = rowBytes;
        place.Tail = null;
        place.X = work->Arranged + ((long)group * GroupRows * RoundedColumns(work->Columns));
        place.Blocks = work->Columns / BlockColumns;
        place.Y = work->Y + (group * GroupRows * work->YStride) + row;
        place.YStride = work->YStride;
        place.Bias = work->Bias is null ? null : work->Bias + row;
        place.Ahead = ahead;
        if (remainder != 0)
        {
            FillTail<TWeight>(place, rows, remainder, tail);
            place.Tail = tail;
        }

        if (rows == GroupRows)
        {
            FourRows<TWeight>(place, width, work->Wide);
            return;
        }

        for (var i = 0; i < rows; i++)
        {
            OneRow<TWeight>(place, width, work->Wide);
            place.Weight += rowBytes;
            place.Tail = place.Tail is null ? null : place.Tail + (BlockColumns * TWeight.Size);
            place.Y++;
            place.Bias = place.Bias is null ? null : place.Bias + 1;
        }
    }

    private static void FillTail<TWeight>(in GemmTile place, int rows, int remainder, byte* tail)
        where TWeight : struct, IWeightLanes
    {
        new Span<byte>(tail, TailBytes).Clear();
        for (var i = 0; i < rows; i++)
        {
            var source = place.Weight + (i * place.RowBytes) + ((long)place.Blocks * BlockColumns * TWeight.Size);
            Unsafe.CopyBlockUnaligned(tail + (i * BlockColumns * TWeight.Size), source, (uint)(remainder * TWeight.Size));
        }
    }

    private static void FourRows<TWeight>(in GemmTile place, int width, bool wide)
        where TWeight : struct, IWeightLanes
    {
        switch (width, wide)
        {
            case (1, true): WideTile.FourRows<TWeight, TileWidths.One>(place); break;
            case (2, true): WideTile.FourRows<TWeight, TileWidths.Two>(place); break;
            case (3, true): WideTile.FourRows<TWeight, TileWidths.Three>(place); break;
            case (_, true): WideTile.FourRows<TWeight, TileWidths.Four>(place); break;
            case (1, _): NarrowTile.FourRows<TWeight, TileWidths.One>(place); break;
            case (2, _): NarrowTile.FourRows<TWeight, TileWidths.Two>(place); break;
            case (3, _): NarrowTile.FourRows<TWeight, TileWidths.Three>(place); break;
            default: NarrowTile.FourRows<TWeight, TileWidths.Four>(place); break;
        }
    }

    private static void OneRow<TWeight>(in GemmTile place, int width, bool wide)
        where TWeight : struct, IWeightLanes
    {
        switch (width, wide)
        {
            case (1, true): WideTile.OneRow<TWeight, TileWidths.One>(place); break;
            case (2, true): WideTile.OneRow<TWeight, TileWidths.Two>(place); break;
            case (3, true): WideTile.OneRow<TWeight, TileWidths.Three>(place); break;
            case (_, true): WideTile.OneRow<TWeight, TileWidths.Four>(place); break;
            case (1, _): NarrowTile.OneRow<TWeight, TileWidths.One>(place); break;
            case (2, _): NarrowTile.OneRow<TWeight, TileWidths.Two>(place); break;
            case (3, _): NarrowTile.OneRow<TWeight, TileWidths.Three>(place); break;
            default: NarrowTile.OneRow<TWeight, TileWidths.Four>(place); break;
        }
    }
}
