using System.Globalization;
using System.Numerics;

namespace ModelServe.Codec.Templates;

/// <summary>Digits of numbers as Python's format directives write them.</summary>
internal static class NumberFormat
{
    private const int MaxPrecision = 500;

    /// <summary>An int in a radix with at least so many digits.</summary>
    public static string Digits(BigInteger value, int radix, int minimum)
    {
        string digits = "";
        BigInteger rest = BigInteger.Abs(value);
        if (radix == 10)
        {
            digits = rest.ToString(CultureInfo.InvariantCulture);
        }
        else
        {
            do
            {
                rest = BigInteger.DivRem(rest, radix, out BigInteger digit);
                digits = "0123456789abcdef"[(int)digit] + digits;
            }
            while (!rest.IsZero);
        }

        return (value.Sign < 0 ? "-" : "") + digits.PadLeft(minimum, '0');
    }

    /// <summary>A float by one of e, f, g and their capitals.</summary>
    /// <exception cref="TemplateException">More digits than are supported.</exception>
    public static string Real(double value, char kind, int precision)
    {
        if (precision > MaxPrecision)
        {
            throw new TemplateException($"a precision above {MaxPrecision} is not supported");
        }

        bool isUpper = char.IsAsciiLetterUpper(kind);
        string text = !double.IsFinite(value) ? PythonNumbers.Repr(value) : char.ToLowerInvariant(kind) switch
        {
            'f' => Fixed(value, precision),
            'e' => Exponential(value, precision),
            _ => General(value, precision),
        };
        return isUpper ? text.ToUpperInvariant() : text;
    }

    /// <summary>So many digits after the point, from the float's exact value, ties to even.</summary>
    public static string Fixed(double value, int precision)
    {
        long bits = BitConverter.DoubleToInt64Bits(Math.Abs(value));
        int exponent = Math.Max(1, (int)(bits >> 52)) - 1075;
        BigInteger scaled = ((bits & ((1L << 52) - 1)) | (bits >> 52 == 0 ? 0 : 1L << 52)) * BigInteger.Pow(10, precision);
        if (exponent >= 0)
        {
            scaled <<= exponent;
        }
        else
        {
            BigInteger unit = BigInteger.One << -exponent;
            scaled = BigInteger.DivRem(scaled, unit, out BigInteger rest);
            int half = (rest * 2).CompareTo(unit);
            scaled += half > 0 || (half == 0 && !scaled.IsEven) ? 1 : 0;
        }

        string digits = scaled.ToString(CultureInfo.InvariantCulture).PadLeft(precision + 1, '0');
        return WithSign(value, precision == 0 ? digits : digits[..^precision] + "." + digits[^precision..]);
    }

    private static string WithSign(double value, string digits) => double.IsNegative(value) ? "-" + digits : digits;

    private static string Exponential(double value, int precision)
    {
        string text = Math.Abs(value).ToString("e" + precision.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        int e = text.IndexOf('e', StringComparison.Ordinal);
        int exponent = int.Parse(text.AsSpan(e + 1), CultureInfo.InvariantCulture);
        string sign = exponent < 0 ? "-" : "+";
        return WithSign(value, $"{text[..e]}e{sign}{Math.Abs(exponent).ToString("00", CultureInfo.InvariantCulture)}");
    }

    private static string General(double value, int precision)
    {
        precision = Math.Max(1, precision);
        string scientific = Exponential(value, precision - 1);
        int e = scientific.IndexOf('e', StringComparison.Ordinal);
        int exponent = int.Parse(scientific.AsSpan(e + 1), CultureInfo.InvariantCulture);
        string digits = exponent < -4 || exponent >= precision ? scientific[..e] : Fixed(value, precision - 1 - exponent);
        string trimmed = digits.Contains('.', StringComparison.Ordinal) ? digits.TrimEnd('0').TrimEnd('.') : digits;
        return exponent < -4 || exponent >= precision ? trimmed + scientific[e..] : trimmed;
    }
}
