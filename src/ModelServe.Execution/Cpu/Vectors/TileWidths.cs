namespace ModelServe.Execution.Cpu.Vectors;

/// <summary>The four widths of a tile.</summary>
internal static class TileWidths
{
    /// <summary>One row.</summary>
    internal readonly struct One : ITileWidth
    {
        /// <inheritdoc />
        public static int Rows => 1;
    }

    /// <summary>Two rows.</summary>
    internal readonly struct Two : ITileWidth
    {
        /// <inheritdoc />
        public static int Rows => 2;
    }

    /// <summary>Three rows.</summary>
    internal readonly struct Three : ITileWidth
    {
        /// <inheritdoc />
        public static int Rows => 3;
    }

    /// <summary>Four rows.</summary>
    internal readonly struct Four : ITileWidth
    {
        /// <inheritdoc />
        public static int Rows => 4;
    }
}
