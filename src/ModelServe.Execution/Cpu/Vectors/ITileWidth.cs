namespace ModelServe.Execution.Cpu.Vectors;

/// <summary>How many activation rows a tile covers, 1 to 4, as a type argument: the compiler drops the rows that are not there.</summary>
internal interface ITileWidth
{
    /// <summary>The rows.</summary>
    static abstract int Rows { get; }
}
