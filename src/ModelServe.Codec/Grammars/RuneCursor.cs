using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>Reads a pattern's or a grammar's text from left to right, scalar value by scalar value. Not thread-safe.</summary>
internal sealed class RuneCursor(string text)
{
    private const int MostDigits = 7;

    private readonly Rune[] _text = [.. text.EnumerateRunes()];

    /// <summary>How many scalar values have been read.</summary>
    public int At { get; set; }

    /// <summary>Whether all have been read.</summary>
    public bool IsAtEnd => At == _text.Length;

    /// <summary>The next one as a sign that may mean something, all of which are ASCII; U+FFFD for any other. Not at the end.</summary>
    public char Next => Sign(At);

    /// <summary>The one behind the next in the same way; null where there is none.</summary>
    public char? Second => At + 1 < _text.Length ? Sign(At + 1) : null;

    /// <summary>Reads the next one. Not at the end.</summary>
    public Rune Read() => _text[At++];

    /// <summary>Reads the next one if it is that sign.</summary>
    public bool Take(char expected)
    {
        bool isThere = !IsAtEnd && _text[At].Value == expected;
        At += isThere ? 1 : 0;
        return isThere;
    }

    /// <summary>Reads a word if it comes next.</summary>
    public bool Take(string expected)
    {
        bool isThere = Text(At, At + expected.Length) == expected;
        At += isThere ? expected.Length : 0;
        return isThere;
    }

    /// <summary>Reads a decimal number of at most seven digits; false where there is none.</summary>
    public bool TakeNumber(out int value)
    {
        int start = At;
        while (!IsAtEnd && _text[At].Value is >= '0' and <= '9' && At - start < MostDigits)
        {
            At++;
        }

        return int.TryParse(Text(start, At), NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Reads that many hexadecimal digits, or what there is instead; false where they are fewer.</summary>
    public bool TakeHex(int digits, out int value)
    {
        int start = At;
        At = Math.Min(At + digits, _text.Length);
        value = 0;
        return At - start == digits && int.TryParse(Text(start, At), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>The text from there to there, as far as there is any.</summary>
    public string Text(int from, int to) => string.Concat(_text[from..Math.Min(to, _text.Length)].Select(rune => rune.ToString()));

    private char Sign(int at) => _text[at].IsAscii ? (char)_text[at].Value : '\uFFFD';
}
