using System.Globalization;

namespace ModelServe.Codec.Splitting;

/// <summary>Walks over a regular expression of tokenizer.json and complains with the place of what is not supported.</summary>
internal sealed class PatternReader(string pattern, string place)
{
    /// <summary>Index of the next char.</summary>
    public int Position { get; private set; }

    /// <summary>Whether all is read.</summary>
    public bool AtEnd => Position >= pattern.Length;

    /// <summary>The next char; NUL at the end.</summary>
    public char Next => AtEnd ? '\0' : pattern[Position];

    /// <summary>Takes the next char.</summary>
    public char Take()
    {
        if (AtEnd)
        {
            throw new InvalidTextModelException($"{place}: the regular expression \"{pattern}\" ends too early.");
        }
        char value = pattern[Position++];
        if (char.IsSurrogate(value))
        {
            throw Unsupported("a character beyond U+FFFF");
        }
        return value;
    }

    /// <summary>Takes a string if it comes next.</summary>
    public bool TryTake(string expected)
    {
        if (string.CompareOrdinal(pattern, Position, expected, 0, expected.Length) != 0)
        {
            return false;
        }
        Position += expected.Length;
        return true;
    }

    /// <summary>Whether a string comes next.</summary>
    public bool Sees(string expected) => string.CompareOrdinal(pattern, Position, expected, 0, expected.Length) == 0;

    /// <summary>Takes all up to and including <paramref name="end"/>; gives what stands before it.</summary>
    public string TakeUntil(char end)
    {
        int found = pattern.IndexOf(end, Position);
        if (found < 0)
        {
            throw Unsupported($"an expression without its closing '{end}'");
        }
        string taken = pattern[Position..found];
        Position = found + 1;
        return taken;
    }

    /// <summary>Takes hexadecimal digits as one UTF-16 unit.</summary>
    public char TakeHex(int count)
    {
        if (Position + count <= pattern.Length &&
            ushort.TryParse(pattern.AsSpan(Position, count), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ushort value))
        {
            Position += count;
            return (char)value;
        }
        throw Unsupported("a malformed hexadecimal escape");
    }

    /// <summary>The exception that names what stands in the pattern and is not supported.</summary>
    public UnsupportedFeatureException Unsupported(string what) => new(string.Create(
        CultureInfo.InvariantCulture, $"{place}: {what} near position {Position} of the regular expression \"{pattern}\" is not supported."));
}
