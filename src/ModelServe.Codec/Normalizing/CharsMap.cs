using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Normalizing;

/// <summary>
/// SentencePiece's compiled table of replacements: a double-array trie over UTF-8 bytes whose values are offsets of zero-ended
/// strings. Checked as a whole when read, so that a lookup cannot leave it. Immutable and thread-safe.
/// </summary>
internal sealed class CharsMap
{
    private readonly uint[] _units;
    private readonly Dictionary<int, string> _texts = [];

    private CharsMap(uint[] units)
    {
        _units = units;
    }

    /// <summary>Reads the table: the trie's size in bytes (little-endian), its units, the strings.</summary>
    /// <param name="blob">The compiled table.</param>
    /// <exception cref="FormatException">The table contradicts itself; the message says how.</exception>
    public static CharsMap Read(ReadOnlySpan<byte> blob)
    {
        if (blob.Length < 8)
        {
            throw new FormatException("the table is shorter than its head");
        }
        uint size = BinaryPrimitives.ReadUInt32LittleEndian(blob);
        if (size == 0 || size % 4 != 0 || size > blob.Length - 4)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"a trie of {size} bytes in a table of {blob.Length}"));
        }
        uint[] units = new uint[size / 4];
        for (int index = 0; index < units.Length; index++)
        {
            units[index] = BinaryPrimitives.ReadUInt32LittleEndian(blob[(4 + (index * 4))..]);
        }
        var map = new CharsMap(units);
        map.ReadTexts(blob[(4 + (int)size)..]);
        return map;
    }

    /// <summary>The replacement of the shortest key that a text begins with, or null.</summary>
    /// <param name="text">UTF-8; a zero byte ends it.</param>
    public string? FindShortest(ReadOnlySpan<byte> text) => Find(text, shortest: true, out _);

    /// <summary>The replacement of the longest key that a text begins with, or null, and that key's length in bytes.</summary>
    /// <param name="text">UTF-8; a zero byte ends it.</param>
    /// <param name="length">Bytes of the key.</param>
    public string? FindLongest(ReadOnlySpan<byte> text, out int length) => Find(text, shortest: false, out length);

    private string? Find(ReadOnlySpan<byte> text, bool shortest, out int length)
    {
        string? found = null;
        length = 0;
        int node = Offset(_units[0]);
        for (int index = 0; index < text.Length && text[index] != 0; index++)
        {
            node ^= text[index];
            if ((uint)node >= (uint)_units.Length || Label(_units[node]) != text[index])
            {
                break;
            }
            uint unit = _units[node];
            node ^= Offset(unit);
            if (HasLeaf(unit))
            {
                found = _texts[Value(_units[node])];
                length = index + 1;
                if (shortest)
                {
                    break;
                }
            }
        }
        return found;
    }

    /// <summary>Visits every unit that is reachable, and reads the string of each leaf.</summary>
    private void ReadTexts(ReadOnlySpan<byte> pool)
    {
        bool[] seen = new bool[_units.Length];
        Stack<int> open = new();
        open.Push(Offset(_units[0]));
        while (open.TryPop(out int position))
        {
            for (int label = 1; label < 256; label++)
            {
                int child = position ^ label;
                if ((uint)child >= (uint)_units.Length || Label(_units[child]) != label || seen[child])
                {
                    continue;
                }
                seen[child] = true;
                int next = child ^ Offset(_units[child]);
                if (HasLeaf(_units[child]))
                {
                    if ((uint)next >= (uint)_units.Length)
                    {
                        throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"the leaf of unit {child} lies outside the trie"));
                    }
                    ReadText(Value(_units[next]), pool);
                }
                open.Push(next);
            }
        }
    }

    private void ReadText(int offset, ReadOnlySpan<byte> pool)
    {
        if (_texts.ContainsKey(offset))
        {
            return;
        }
        if (offset > pool.Length)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"the string at {offset} lies outside the {pool.Length} bytes of strings"));
        }
        ReadOnlySpan<byte> text = pool[offset..];
        int end = text.IndexOf((byte)0);
        try
        {
            _texts[offset] = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(end < 0 ? text : text[..end]);
        }
        catch (ArgumentException failure)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"the string at {offset} is not UTF-8"), failure);
        }
    }

    private static bool HasLeaf(uint unit) => (unit & 0x100) != 0;

    private static int Value(uint unit) => (int)(unit & 0x7FFFFFFF);

    private static uint Label(uint unit) => unit & 0x800000FF;

    private static int Offset(uint unit) => (int)(unit >> 10 << (int)((unit & 0x200) >> 6));
}
