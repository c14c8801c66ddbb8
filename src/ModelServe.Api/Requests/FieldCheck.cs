using System.Globalization;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Requests;

/// <summary>The checks of single values; each answers null or the rejection that names field, limit and value.</summary>
internal static class FieldCheck
{
    private const int LongestQuote = 48;

    /// <summary>low ≤ value ≤ high; NaN is never inside.</summary>
    public static Rejection? Range(string field, float value, float low, float high) =>
        // Written so that NaN, which compares false with everything, is refused.
        !(value >= low && value <= high)
            ? Invalid(field, $"a number in [{Text(low)}, {Text(high)}]", Text(value))
            : null;

    /// <summary>low &lt; value ≤ high; NaN is never inside.</summary>
    public static Rejection? HalfOpen(string field, float value, float low, float high) =>
        !(value > low && value <= high)
            ? Invalid(field, $"a number in ({Text(low)}, {Text(high)}]", Text(value))
            : null;

    /// <summary>low ≤ value ≤ high.</summary>
    public static Rejection? Range(string field, int value, int low, int high) =>
        value < low || value > high
            ? Invalid(field, $"an integer in [{Text(low)}, {Text(high)}]", Text(value))
            : null;

    /// <summary>At most that many entries.</summary>
    public static Rejection? Count(string field, int count, int limit) =>
        count > limit ? Invalid(field, $"at most {Text(limit)} entries", Text(count)) : null;

    /// <summary>A text of low to high characters.</summary>
    public static Rejection? Length(string field, string value, int low, int high) =>
        value.Length < low || value.Length > high
            ? Invalid(field, $"{Text(low)} to {Text(high)} characters", $"{Text(value.Length)} characters")
            : null;

    /// <summary>A text of 1 to limit visible ASCII characters.</summary>
    public static Rejection? VisibleAscii(string field, string value, int limit)
    {
        if (Length(field, value, 1, limit) is { } wrongLength)
        {
            return wrongLength;
        }

        return value.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0
            ? Invalid(field, "visible ASCII characters only", Quote(value))
            : null;
    }

    /// <summary>An id of the vocabulary.</summary>
    public static Rejection? TokenId(string field, uint id, int vocabularySize) =>
        id >= (uint)vocabularySize
            ? Invalid(field, $"a token id in [0, {Text(vocabularySize)})", id.ToString(CultureInfo.InvariantCulture))
            : null;

    /// <summary>A value outside its range, of the wrong kind, or in a combination that cannot be.</summary>
    public static Rejection Invalid(string field, string limit, string value) =>
        new(RejectionReason.InvalidField, field, limit, value);

    /// <summary>User text as an error message shows it: quoted, without control characters, cut to a length that a log line bears.</summary>
    public static string Quote(string value)
    {
        ReadOnlySpan<char> shown = value.AsSpan(0, Math.Min(value.Length, LongestQuote));
        string clean = string.Create(shown.Length, shown, static (target, source) =>
        {
            for (int i = 0; i < source.Length; i++)
            {
                target[i] = char.IsControl(source[i]) || char.IsSurrogate(source[i]) ? '?' : source[i];
            }
        });
        return value.Length > LongestQuote ? $"'{clean}...'" : $"'{clean}'";
    }

    /// <summary>An integer as messages write it.</summary>
    public static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Text(float value) => value.ToString("R", CultureInfo.InvariantCulture);
}
