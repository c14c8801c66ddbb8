namespace ModelServe.Codec.Splitting;

/// <summary>A stretch of a piece that a delimiter pattern matched, or a gap between two matches.</summary>
/// <param name="Start">First char.</param>
/// <param name="End">One past the last char.</param>
/// <param name="IsMatch">Whether the pattern (after inversion) matched it.</param>
internal readonly record struct SpanRun(int Start, int End, bool IsMatch);
