using System.Buffers;
using System.Globalization;
using System.Text;

namespace ModelServe.Codec.Merging;

/// <summary>The tokens of a model (without added ones) and the lookups that encoding needs. Immutable.</summary>
internal sealed class BpeVocabulary
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly int[] _byteChars = new int[256];
    private readonly int[] _fallbacks = new int[256];
    private readonly int[] _plane0 = new int[0x10000];
    private readonly Dictionary<int, int> _astral = [];
    private HashSet<int> _notWhole = [];

    /// <summary>Indexes a vocabulary; the dictionary compares ordinally and is not changed afterwards.</summary>
    public BpeVocabulary(Dictionary<string, int> ids)
    {
        _ids = ids;
        _bySpan = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        Array.Fill(_plane0, -1);
        foreach ((string text, int id) in ids)
        {
            LongestToken = Math.Max(LongestToken, text.Length);
            if (text.Length is 1 or 2 &&
                Rune.DecodeFromUtf16(text, out Rune rune, out int width) == OperationStatus.Done && width == text.Length)
            {
                if (rune.IsBmp)
                {
                    _plane0[rune.Value] = id;
                }
                else
                {
                    _astral[rune.Value] = id;
                }
            }
        }
        for (int value = 0; value < 256; value++)
        {
            _byteChars[value] = Find(ByteAlphabet.CharOf((byte)value).ToString());
            _fallbacks[value] = Find(string.Create(CultureInfo.InvariantCulture, $"<0x{value:X2}>"));
        }
    }

    /// <summary>Tokens.</summary>
    public int Count => _ids.Count;

    /// <summary>Chars of the longest token.</summary>
    public int LongestToken { get; }

    /// <summary>The tokens with their ids.</summary>
    public IReadOnlyDictionary<string, int> Ids => _ids;

    /// <summary>Whether every byte has its character in the vocabulary, so that no text is unknown.</summary>
    public bool HasAllByteChars => Array.TrueForAll(_byteChars, id => id >= 0);

    /// <summary>The id of a token, or -1.</summary>
    public int Find(string text) => _ids.TryGetValue(text, out int id) ? id : -1;

    /// <summary>The id of a token, or -1.</summary>
    public int Find(ReadOnlySpan<char> text) => _bySpan.TryGetValue(text, out int id) ? id : -1;

    /// <summary>The id of a byte's character, or -1.</summary>
    public int ByteCharId(byte value) => _byteChars[value];

    /// <summary>The id of a byte's <c>&lt;0xNN&gt;</c> token, or -1.</summary>
    public int FallbackId(byte value) => _fallbacks[value];

    /// <summary>Whether each of these bytes has its <c>&lt;0xNN&gt;</c> token.</summary>
    public bool HasFallback(ReadOnlySpan<byte> bytes)
    {
        foreach (byte value in bytes)
        {
            if (_fallbacks[value] < 0)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The id of a code point that is a token by itself, or -1.</summary>
    public int RuneId(int codePoint) =>
        codePoint < 0x10000 ? _plane0[codePoint] : _astral.TryGetValue(codePoint, out int id) ? id : -1;

    /// <summary>The id of a whole word, for models that ignore merges then; never a control token.</summary>
    public bool TryFindWhole(ReadOnlySpan<char> word, out int id) => _bySpan.TryGetValue(word, out id) && !_notWhole.Contains(id);

    /// <summary>Whether a token directs the model, so that ordinary text must never become it.</summary>
    public bool IsControl(int id) => _notWhole.Contains(id);

    /// <summary>Names the control tokens, which a word of ordinary text must never become. Called once, while loading.</summary>
    public void ForbidWhole(IEnumerable<int> controlIds) => _notWhole = [.. controlIds];
}
