using System.Globalization;
using System.Numerics;

namespace ModelServe.Codec.Grammars;

/// <summary>Decimal numbers between two bounds, spelled without exponent.</summary>
/// <remarks>A bound is a decimal number, exactly as it was written; nothing is rounded. Negative numbers are the mirrored range of their magnitudes.</remarks>
internal static class NumberRange
{
    private static readonly CodePointSet AllDigits = CodePointSet.Of(('0', '9'));

    /// <summary>One end of a range.</summary>
    /// <param name="Digits">The magnitude's digits: integer part.</param>
    /// <param name="Fraction">Digits after the point, without trailing zeros.</param>
    /// <param name="IsNegative">Whether it lies below zero.</param>
    /// <param name="IsExclusive">Whether the bound itself is outside.</param>
    internal readonly record struct Bound(BigInteger Digits, string Fraction, bool IsNegative, bool IsExclusive)
    {
        /// <summary>The bound that a JSON number spells; null when its exponent makes it longer than 400 digits.</summary>
        public static Bound? Parse(string json, bool isExclusive)
        {
            bool isNegative = json.StartsWith('-');
            string[] parts = json.TrimStart('-').Split('e', 'E');
            string[] mantissa = parts[0].Split('.');
            string fraction = mantissa.Length > 1 ? mantissa[1] : "";
            if (parts.Length > 1)
            {
                if (!int.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int exponent) || Math.Abs(exponent) > 400)
                {
                    return null;
                }

                string digits = mantissa[0] + fraction;
                int point = mantissa[0].Length + exponent;
                digits = point < 0 ? new string('0', -point) + digits : digits.PadRight(Math.Max(point, digits.Length), '0');
                point = Math.Max(point, 0);
                mantissa = [point == 0 ? "0" : digits[..point], digits[point..]];
                fraction = mantissa[1];
            }

            fraction = fraction.TrimEnd('0');
            var integer = BigInteger.Parse(mantissa[0], NumberStyles.None, CultureInfo.InvariantCulture);
            return new Bound(integer, fraction, isNegative && (!integer.IsZero || fraction.Length > 0), isExclusive);
        }

        /// <summary>Less than, equal or greater, by value.</summary>
        public int CompareTo(Bound other)
        {
            if (IsNegative != other.IsNegative)
            {
                return IsNegative ? -1 : 1;
            }

            int order = Digits.CompareTo(other.Digits);
            order = order != 0 ? order : string.CompareOrdinal(Fraction, other.Fraction);
            return IsNegative ? -order : order;
        }
    }

    /// <summary>The numbers from low to high; a missing bound is infinite.</summary>
    /// <param name="low">Lower bound.</param>
    /// <param name="high">Upper bound.</param>
    /// <param name="hasFraction">Whether digits may follow a decimal point.</param>
    public static RuleNode Between(Bound? low, Bound? high, bool hasFraction)
    {
        var options = new List<RuleNode>();
        var zero = new Bound(0, "", false, false);
        if (high is not { } top || !top.IsNegative)
        {
            Bound from = low is { IsNegative: false } floor ? floor : zero;
            options.Add(Magnitudes(from, high, hasFraction));
        }

        if (low is not { } bottom || bottom.IsNegative)
        {
            // Mirrored: the magnitude is at least that of a negative upper bound. Minus zero stays out.
            Bound from = high is { IsNegative: true } ceiling ? ceiling with { IsNegative = false } : zero with { IsExclusive = true };
            Bound? to = low is { } far ? far with { IsNegative = false } : null;
            options.Add(RuleNode.Then(RuleNode.Text("-"), Magnitudes(from, to, hasFraction)));
        }

        return RuleNode.Either(options);
    }

    private static RuleNode Magnitudes(Bound low, Bound? high, bool hasFraction)
    {
        RuleNode anyFraction = hasFraction ? AnyFraction() : RuleNode.Empty;
        var options = new List<RuleNode>();
        if (high is { } top && top.Digits == low.Digits)
        {
            options.Add(RuleNode.Then(Whole(low.Digits), Fractions(low, top, hasFraction)));
            return RuleNode.Either(options);
        }

        options.Add(RuleNode.Then(Whole(low.Digits), Fractions(low, null, hasFraction)));
        BigInteger first = low.Digits + 1;
        if (high is { } last)
        {
            if (last.Digits < low.Digits)
            {
                return RuleNode.Never;
            }

            options.Add(RuleNode.Then(Whole(last.Digits), Fractions(null, last, hasFraction)));
            if (first <= last.Digits - 1)
            {
                options.Add(RuleNode.Then(Integers(Text(first), Text(last.Digits - 1)), anyFraction));
            }
        }
        else
        {
            options.Add(RuleNode.Then(AtLeast(Text(first)), anyFraction));
        }

        return RuleNode.Either(options);
    }

    // Fractions f with low.Fraction <= f <= high.Fraction (or strictly), as digits after one integer part.
    private static RuleNode Fractions(Bound? low, Bound? high, bool hasFraction)
    {
        bool zeroIsIn = (low is not { } l || (l.Fraction.Length == 0 && !l.IsExclusive))
            && (high is not { } h || h.Fraction.Length > 0 || !h.IsExclusive);
        var options = new List<RuleNode>();
        if (zeroIsIn)
        {
            options.Add(RuleNode.Empty);
        }

        if (hasFraction)
        {
            options.Add(RuleNode.Then(RuleNode.Text("."), FractionDigits(low, high)));
        }

        return RuleNode.Either(options);
    }

    // Digit by digit; state = (position, still equal to low, still equal to high); at least one digit.
    private static RuleNode.Graph FractionDigits(Bound? low, Bound? high)
    {
        string floor = low?.Fraction ?? "";
        string ceiling = high?.Fraction ?? "";
        int length = Math.Max(floor.Length, ceiling.Length);
        var states = new Dictionary<(int At, bool Low, bool High), int>();
        var moves = new List<(int, RuleNode, int)>();
        var ends = new List<int>();
        var open = new Queue<(int At, bool Low, bool High)>();
        int Of((int At, bool Low, bool High) key)
        {
            if (states.TryGetValue(key, out int number))
            {
                return number;
            }

            states.Add(key, states.Count);
            open.Enqueue(key);
            return states.Count - 1;
        }

        // Position length + 1 stands for "past every digit of the bounds, and at least one digit".
        Of((0, low is not null, high is not null));
        while (open.TryDequeue(out (int At, bool Low, bool High) key))
        {
            int at = Math.Min(key.At, length);
            string rest = key.Low && at < floor.Length ? floor[at..] : "";
            string restHigh = key.High && at < ceiling.Length ? ceiling[at..] : "";
            bool lowHolds = !key.Low || (rest.Trim('0').Length == 0 && !low!.Value.IsExclusive);
            bool highHolds = !key.High || restHigh.Trim('0').Length > 0 || !high!.Value.IsExclusive;
            if (key.At > 0 && lowHolds && highHolds)
            {
                ends.Add(states[key]);
            }

            int from = key.Low ? Digit(floor, at) : 0;
            int to = key.High ? Digit(ceiling, at) : 9;
            for (int digit = from; digit <= to; digit++)
            {
                var next = (Math.Min(key.At + 1, length + 1), key.Low && digit == from, key.High && digit == to);
                moves.Add((states[key], RuleNode.Text(((char)('0' + digit)).ToString()), Of(next)));
            }
        }

        return new RuleNode.Graph(states.Count, moves, ends);
    }

    private static int Digit(string digits, int at) => at < digits.Length ? digits[at] - '0' : 0;

    private static RuleNode AnyFraction() => RuleNode.Maybe(RuleNode.Then(RuleNode.Text("."), Digits(1)));

    private static RuleNode.Repeat Digits(int atLeast) => new RuleNode.Repeat(RuleNode.Characters(AllDigits), atLeast, null);

    private static RuleNode Whole(BigInteger value) => RuleNode.Text(Text(value));

    // Integers of at least that value: of its length from it on, or longer.
    private static RuleNode AtLeast(string low) => RuleNode.Either(
        Integers(low, new string('9', low.Length)),
        RuleNode.Then(RuleNode.Characters(CodePointSet.Of(('1', '9'))), Digits(low.Length)));

    private static RuleNode Integers(string low, string high)
    {
        var options = new List<RuleNode>();
        for (int length = low.Length; length <= high.Length; length++)
        {
            string from = length == low.Length ? low : "1" + new string('0', length - 1);
            string to = length == high.Length ? high : new string('9', length);
            options.Add(SameLength(from, to));
        }

        return RuleNode.Either(options);
    }

    private static RuleNode SameLength(string low, string high)
    {
        int common = 0;
        while (common < low.Length && low[common] == high[common])
        {
            common++;
        }

        if (common == low.Length)
        {
            return RuleNode.Text(low);
        }

        int rest = low.Length - common - 1;
        var options = new List<RuleNode>
        {
            RuleNode.Then(RuleNode.Text(low[common].ToString()), Upward(low[(common + 1)..])),
            RuleNode.Then(RuleNode.Text(high[common].ToString()), Downward(high[(common + 1)..])),
        };
        if (low[common] + 1 < high[common])
        {
            options.Add(RuleNode.Then(
                RuleNode.Characters(CodePointSet.Of((low[common] + 1, high[common] - 1))), new RuleNode.Repeat(RuleNode.Characters(AllDigits), rest, rest)));
        }

        return RuleNode.Then(RuleNode.Text(low[..common]), RuleNode.Either(options));
    }

    // Digit strings of the same length that are at least, or at most, the given one.
    private static RuleNode Upward(string digits) => OneSided(digits, d => (d + 1, '9'));

    private static RuleNode Downward(string digits) => OneSided(digits, d => ('0', d - 1));

    private static RuleNode OneSided(string digits, Func<char, (int Low, int High)> beyond)
    {
        var options = new List<RuleNode> { RuleNode.Text(digits) };
        for (int i = 0; i < digits.Length; i++)
        {
            (int low, int high) = beyond(digits[i]);
            int rest = digits.Length - i - 1;
            if (low <= high)
            {
                options.Add(RuleNode.Then(
                    RuleNode.Text(digits[..i]), RuleNode.Characters(CodePointSet.Of((low, high))), new RuleNode.Repeat(RuleNode.Characters(AllDigits), rest, rest)));
            }
        }

        return RuleNode.Either(options);
    }

    private static string Text(BigInteger value) => value.ToString(CultureInfo.InvariantCulture);
}
