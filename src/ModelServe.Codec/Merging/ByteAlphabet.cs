namespace ModelServe.Codec.Merging;

/// <summary>The one-to-one map between bytes and printable characters in which byte-level vocabularies are written (GPT-2).</summary>
internal static class ByteAlphabet
{
    private const int LargestChar = 0x143;

    private static readonly char[] Chars = BuildChars();
    private static readonly short[] Bytes = BuildBytes();

    /// <summary>The character of a byte.</summary>
    public static char CharOf(byte value) => Chars[value];

    /// <summary>The byte of a character, or -1 where the character stands for none.</summary>
    public static int ByteOf(char value) => value <= LargestChar ? Bytes[value] : -1;

    private static char[] BuildChars()
    {
        char[] chars = new char[256];
        char shifted = (char)256;
        for (int code = 0; code < 256; code++)
        {
            bool printable = code is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255);
            chars[code] = printable ? (char)code : shifted++;
        }
        return chars;
    }

    private static short[] BuildBytes()
    {
        short[] bytes = new short[LargestChar + 1];
        Array.Fill(bytes, (short)-1);
        for (int code = 0; code < 256; code++)
        {
            bytes[Chars[code]] = (short)code;
        }
        return bytes;
    }
}
