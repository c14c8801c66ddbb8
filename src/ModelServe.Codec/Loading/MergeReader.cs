using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Loading;

/// <summary>
/// Reads the merges of a BPE model: half a million of them in a large vocabulary, so that none is made a string of its own. For one
/// file; not thread-safe.
/// </summary>
/// <param name="place">The list of merges.</param>
/// <param name="vocabulary">The tokens.</param>
internal sealed class MergeReader(JsonPart place, BpeVocabulary vocabulary)
{
    private readonly bool[] _made = new bool[vocabulary.Ids.Values.DefaultIfEmpty(-1).Max() + 1];
    private char[] _text = new char[256];

    /// <summary>The texts of all tokens that merges make; known once the merges are read.</summary>
    public IEnumerable<string> Results => vocabulary.Ids.Where(token => _made[token.Value]).Select(token => token.Key);

    /// <summary>Reads all merges.</summary>
    /// <exception cref="InvalidTextModelException">One is malformed or uses what is no token; the message has its number.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public MergeTable Read()
    {
        if (!place.IsArray)
        {
            throw place.Wrong("expected a list of merges");
        }
        var table = new MergeTable(place.Element.GetArrayLength());
        int rank = 0;
        foreach (JsonElement merge in place.Element.EnumerateArray())
        {
            (int cut, int length) = Split(merge);
            if (cut < 0)
            {
                throw place.Wrong($"merge {rank} is neither two tokens with a space between nor a pair: {merge.GetRawText()}");
            }
            int left = Require(_text.AsSpan(0, cut), rank);
            int right = Require(_text.AsSpan(cut, length - cut), rank);
            int whole = Require(_text.AsSpan(0, length), rank);
            table.Add(left, right, rank, whole);
            _made[whole] = true;
            rank++;
        }
        return table;
    }

    /// <summary>Puts both tokens into the buffer, one behind the other; gives the length of the first, -1 where the form is another, and of both.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (int Cut, int Length) Split(JsonElement merge)
    {
        if (merge.ValueKind == JsonValueKind.Array)
        {
            if (merge.GetArrayLength() != 2 || merge[0].ValueKind != JsonValueKind.String || merge[1].ValueKind != JsonValueKind.String)
            {
                return (-1, 0);
            }
            int first = Copy(merge[0], 0);
            return (first, first + Copy(merge[1], first));
        }
        if (merge.ValueKind != JsonValueKind.String)
        {
            return (-1, 0);
        }
        int length = Copy(merge, 0);
        Span<char> text = _text.AsSpan(0, length);
        int space = text.IndexOf(' ');
        if (space < 0 || text[(space + 1)..].Contains(' '))
        {
            return (-1, 0);
        }
        text[(space + 1)..].CopyTo(text[space..]);
        return (space, length - 1);
    }

    /// <summary>Copies a JSON string into the buffer; gives its length.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Copy(JsonElement text, int start)
    {
        ReadOnlySpan<byte> written = JsonMarshal.GetRawUtf8Value(text)[1..^1];
        Reserve(start + written.Length);
        if (!written.Contains((byte)'\\') &&
            Utf8.ToUtf16(written, _text.AsSpan(start), out _, out int count, replaceInvalidSequences: false) == OperationStatus.Done)
        {
            return count;
        }
        // Escapes, and what is not valid, are rare; the slow way reads the one and complains of the other.
        string read = place.Within(text).Text();
        Reserve(start + read.Length);
        read.CopyTo(_text.AsSpan(start));
        return read.Length;
    }

    private void Reserve(int length)
    {
        if (length > _text.Length)
        {
            Array.Resize(ref _text, length * 2);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Require(ReadOnlySpan<char> text, int rank)
    {
        int id = vocabulary.Find(text);
        return id >= 0 ? id : throw place.Wrong($"merge {rank} uses \"{text}\", which is not in the vocabulary");
    }
}
