using System.Text;

namespace ModelServe.Trainer.Text;

/// <summary>The printable characters that stand for the 256 bytes in a byte-level vocabulary.</summary>
internal static class ByteAlphabet
{
    private static readonly char[] Symbols = Build();

    public static IReadOnlyList<char> All => Symbols;

    public static string Encode(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(b => Symbols[b]));

    public static string Decode(string symbols)
    {
        byte[] bytes = [.. symbols.Select(c => (byte)Array.IndexOf(Symbols, c))];
        return Encoding.UTF8.GetString(bytes);
    }

    private static char[] Build()
    {
        char[] symbols = new char[256];
        int next = 256;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255);
            symbols[b] = printable ? (char)b : (char)next++;
        }

        return symbols;
    }
}
