namespace ModelServe.Execution.Tests.Cuda;

/// <summary>The numbers of e4m3, as their definition reads: a sign, four bits of exponent, three of mantissa, no infinity.</summary>
internal static class Float8Numbers
{
    private const float Largest = 448;

    /// <summary>The number of a code.</summary>
    public static float ToSingle(byte code)
    {
        var (exponent, mantissa) = ((code >> 3) & 15, code & 7);
        var magnitude = exponent == 0 ? mantissa * MathF.Pow(2, -9) : (8 + mantissa) * MathF.Pow(2, exponent - 10);
        return (code & 0x7F) == 0x7F ? float.NaN : (code & 0x80) != 0 ? -magnitude : magnitude;
    }

    /// <summary>What the largest element of a row divides by to become the largest number.</summary>
    public static float Scale(ReadOnlySpan<float> row)
    {
        var largest = 0f;
        foreach (var value in row)
        {
            largest = Math.Max(largest, Math.Abs(value));
        }

        return largest > 0 ? largest / Largest : 1;
    }

    /// <summary>A matrix as what it becomes in fp8 with a scale for each row.</summary>
    public static float[] Rounded(float[] values, int columns)
    {
        var rounded = new float[values.Length];
        for (var start = 0; start < values.Length; start += columns)
        {
            var scale = Scale(values.AsSpan(start, columns));
            for (var i = start; i < start + columns; i++)
            {
                rounded[i] = Nearest(values[i] / scale) * scale;
            }
        }

        return rounded;
    }

    private static float Nearest(float value)
    {
        var (best, distance) = (0f, float.MaxValue);
        for (var code = 0; code < 0x7F; code++)
        {
            var difference = Math.Abs(Math.Abs(value) - ToSingle((byte)code));

            // At a tie the even code wins.
            if (difference < distance || (difference == distance && code % 2 == 0))
            {
                (best, distance) = (ToSingle((byte)code), difference);
            }
        }

        return MathF.CopySign(best, value);
    }
}
