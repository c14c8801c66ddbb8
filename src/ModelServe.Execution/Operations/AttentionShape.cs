namespace ModelServe.Execution.Operations;

/// <summary>The sizes of a model's attention; the same in every layer.</summary>
/// <param name="QueryHeads">Heads of the queries; a multiple of <paramref name="KeyValueHeads"/>.</param>
/// <param name="KeyValueHeads">Heads of keys and values; query head h reads key-value head <c>h / (QueryHeads / KeyValueHeads)</c>.</param>
/// <param name="HeadDim">Elements of a head; a multiple of 16, at most 256.</param>
/// <param name="Scale">Multiplies each score before the softmax.</param>
/// <param name="Window">The query at position p sees keys at positions j with <c>p - Window &lt; j &lt;= p</c>; 0 sees all up to p.</param>
internal sealed record AttentionShape(int QueryHeads, int KeyValueHeads, int HeadDim, float Scale, int Window)
{
    /// <summary>Columns of the queries, and of the attention's output: head after head.</summary>
    public int QueryColumns => QueryHeads * HeadDim;

    /// <summary>Columns of the keys, and of the values.</summary>
    public int KeyValueColumns => KeyValueHeads * HeadDim;

    /// <summary>Columns of a fused row: queries, then keys, then values.</summary>
    public int FusedColumns => QueryColumns + (2 * KeyValueColumns);

    /// <summary>The first position that the query at <paramref name="position"/> sees.</summary>
    public int FirstVisible(int position) => Window == 0 ? 0 : Math.Max(0, position - Window + 1);
}
