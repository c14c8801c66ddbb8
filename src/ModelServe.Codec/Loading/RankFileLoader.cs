using System.Buffers.Text;
using System.Globalization;
using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Loading;

/// <summary>Reads a tiktoken rank file: one line a token, its bytes in base64 and its rank, which is its id.</summary>
internal static class RankFileLoader
{
    // Longer tokens would make trying every cut of them slow; the longest known has 128 bytes.
    private const int LongestToken = 4096;
    private const int LargestRank = 1 << 24;

    /// <summary>The model: the lowest rank merges first, and a word that is a token is taken whole.</summary>
    /// <param name="name">The file's name, for complaints.</param>
    /// <param name="content">The file's bytes.</param>
    public static BpeModel Load(string name, ReadOnlySpan<byte> content)
    {
        Dictionary<string, int> ids = new(StringComparer.Ordinal);
        HashSet<int> ranks = [];
        int number = 0;
        foreach (Range range in content.Split((byte)'\n'))
        {
            number++;
            ReadOnlySpan<byte> line = content[range].TrimEnd((byte)'\r');
            if (line.IsEmpty)
            {
                continue;
            }
            (string text, int rank) = ReadLine(name, number, line);
            if (!ids.TryAdd(text, rank) || !ranks.Add(rank))
            {
                throw new InvalidTextModelException($"{name}: line {number} repeats a token or the rank {rank}.");
            }
        }
        var vocabulary = new BpeVocabulary(ids);
        if (!vocabulary.HasAllByteChars)
        {
            throw new InvalidTextModelException($"{name}: some of the 256 bytes are no tokens by themselves.");
        }
        var options = new BpeOptions(ByteLevel: true, IgnoreMerges: true, ByteFallback: false, FuseUnknown: false, UnknownId: -1);
        return new BpeModel(vocabulary, Merges(vocabulary), options);
    }

    private static (string Text, int Rank) ReadLine(string name, int number, ReadOnlySpan<byte> line)
    {
        int space = line.IndexOf((byte)' ');
        byte[] bytes = new byte[Math.Max(0, space)];
        if (space <= 0 || Base64.DecodeFromUtf8(line[..space], bytes, out _, out int written) != System.Buffers.OperationStatus.Done || written is 0 or > LongestToken ||
            !int.TryParse(line[(space + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int rank) || rank > LargestRank)
        {
            throw new InvalidTextModelException($"{name}: line {number} is not a token of at most {LongestToken} bytes in base64, a space and a rank of at most {LargestRank}.");
        }
        var text = new StringBuilder(written);
        foreach (byte value in bytes.AsSpan(0, written))
        {
            text.Append(ByteAlphabet.CharOf(value));
        }
        return (text.ToString(), rank);
    }

    private static MergeTable Merges(BpeVocabulary vocabulary)
    {
        List<(int Left, int Right, int Whole)> pairs = [];
        foreach ((string text, int id) in vocabulary.Ids)
        {
            for (int cut = 1; cut < text.Length; cut++)
            {
                int left = vocabulary.Find(text[..cut]);
                int right = left < 0 ? -1 : vocabulary.Find(text[cut..]);
                if (right >= 0)
                {
                    pairs.Add((left, right, id));
                }
            }
        }
        var table = new MergeTable(pairs.Count);
        foreach ((int left, int right, int whole) in pairs)
        {
            table.Add(left, right, whole, whole);
        }
        return table;
    }
}
