using System.Globalization;
using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Python's numbers: ints of any size (bounded here), floats, and bools that count as ints.</summary>
internal static class PythonNumbers
{
    private const int MaxBits = 4096;

    /// <summary>Whether the value is a number (bools are).</summary>
    public static bool IsNumber(object? value) => value is bool or long or double or BigInteger;

    /// <summary>Whether the value is an int (bools are).</summary>
    public static bool IsInteger(object? value) => value is bool or long or BigInteger;

    /// <summary>The int as the smallest of the two representations.</summary>
    /// <exception cref="TemplateException">It has more bits than a template may use.</exception>
    public static object Normalize(BigInteger value)
    {
        if (value >= long.MinValue && value <= long.MaxValue)
        {
            return Boxed.Of((long)value);
        }

        return value.GetBitLength() <= MaxBits ? value : throw new TemplateException($"an integer of more than {MaxBits} bits");
    }

    /// <summary>An int to a power of 0 or more.</summary>
    /// <exception cref="TemplateException">The result has more bits than a template may use.</exception>
    public static object Power(BigInteger value, BigInteger exponent)
    {
        if (BigInteger.Abs(value) <= 1)
        {
            return Normalize(exponent.IsZero ? 1 : exponent.IsEven ? value * value : value);
        }

        // A value of n bits to the power e has more than (n - 1) * e bits.
        return (BigInteger.Abs(value).GetBitLength() - 1) * exponent <= MaxBits ? Normalize(BigInteger.Pow(value, (int)exponent))
            : throw new TemplateException($"an integer of more than {MaxBits} bits");
    }

    /// <summary>The int's value.</summary>
    public static BigInteger ToBig(object value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        _ => (BigInteger)value,
    };

    /// <summary>The number as a float.</summary>
    public static double ToDouble(object value) => value switch
    {
        bool flag => flag ? 1 : 0,
        long number => number,
        double number => number,
        _ => (double)(BigInteger)value,
    };

    /// <summary>The value as a 64-bit int, for indices, counts and widths.</summary>
    /// <exception cref="TemplateException">It is no int or does not fit.</exception>
    public static long RequireLong(object? value, string what) => value switch
    {
        long number => number,
        bool flag => flag ? 1 : 0,
        Undefined undefined => throw undefined.Raise(),
        BigInteger => throw new TemplateException($"{what} does not fit 64 bits"),
        _ => throw new TemplateException($"{what}: '{PythonTypes.NameOf(value)}' object cannot be interpreted as an integer"),
    };

    /// <summary>A small count or width, clamped into what fits an int.</summary>
    public static int RequireInt(object? value, string what) => (int)Math.Clamp(RequireLong(value, what), int.MinValue, int.MaxValue);

    /// <summary>Python's repr of a float: the shortest digits that read back the same, an exponent below 1e-4 and from 1e16.</summary>
    public static string Repr(double value)
    {
        if (double.IsNaN(value))
        {
            return "nan";
        }

        if (double.IsInfinity(value))
        {
            return value > 0 ? "inf" : "-inf";
        }

        string shortest = value.ToString("R", CultureInfo.InvariantCulture);
        string sign = shortest.StartsWith('-') ? "-" : "";
        string[] parts = shortest.TrimStart('-').Split('E');
        int point = parts[0].IndexOf('.', StringComparison.Ordinal);
        string padded = parts[0].Replace(".", "", StringComparison.Ordinal);
        string digits = padded.TrimStart('0').TrimEnd('0');
        if (digits.Length == 0)
        {
            return sign + "0.0";
        }

        int exponent = (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0)
            + (point < 0 ? padded.Length : point) - 1 - (padded.Length - padded.TrimStart('0').Length);
        if (exponent is < -4 or >= 16)
        {
            string rest = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{rest}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)}";
        }

        if (exponent < 0)
        {
            return sign + "0." + new string('0', -exponent - 1) + digits;
        }

        return digits.Length <= exponent + 1
            ? sign + digits.PadRight(exponent + 1, '0') + ".0"
            : sign + digits[..(exponent + 1)] + "." + digits[(exponent + 1)..];
    }

    /// <summary>Reads an int as Python's int(text, radix) does; null when it is none.</summary>
    public static object? ParseInteger(string text, int radix)
    {
        string digits = text.Trim();
        bool negative = digits.StartsWith('-');
        digits = negative || digits.StartsWith('+') ? digits[1..] : digits;
        char prefix = digits.Length > 2 && digits[0] == '0' ? char.ToLowerInvariant(digits[1]) : '\0';
        int prefixRadix = prefix switch { 'x' => 16, 'o' => 8, 'b' => 2, _ => 0 };
        if (prefixRadix != 0 && (radix == prefixRadix || radix == 0))
        {
            radix = prefixRadix;
            digits = digits[2..].TrimStart('_');
        }

        radix = radix == 0 ? 10 : radix;
        if (digits.Length is 0 or > 1200 || digits.StartsWith('_') || digits.EndsWith('_')
            || digits.Contains("__", StringComparison.Ordinal))
        {
            return null;
        }

        BigInteger value = BigInteger.Zero;
        foreach (char c in digits)
        {
            int digit = char.IsAsciiDigit(c) ? c - '0' : char.IsAsciiLetter(c) ? char.ToLowerInvariant(c) - 'a' + 10
                : char.IsDigit(c) ? (int)char.GetNumericValue(c) : 99;
            if (c == '_')
            {
                continue;
            }

            if (digit >= radix)
            {
                return null;
            }

            value = (value * radix) + digit;
        }

        return Normalize(negative ? -value : value);
    }

    /// <summary>Reads a float as Python's float(text) does; null when it is none.</summary>
    public static double? ParseFloat(string text)
    {
        string trimmed = text.Trim();
        string bare = trimmed.TrimStart('+', '-').ToUpperInvariant();
        double sign = trimmed.StartsWith('-') ? -1 : 1;
        if (bare is "INF" or "INFINITY" or "NAN" && trimmed.Length - bare.Length <= 1)
        {
            return bare == "NAN" ? double.NaN : sign * double.PositiveInfinity;
        }

        const NumberStyles Styles = NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return double.TryParse(trimmed.Replace("_", "", StringComparison.Ordinal), Styles, CultureInfo.InvariantCulture, out double value)
            && (bare.Length > 0 && (char.IsAsciiDigit(bare[0]) || bare[0] == '.')) ? value : null;
    }
}
