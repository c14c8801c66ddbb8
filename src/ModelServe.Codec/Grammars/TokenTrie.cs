using System.Collections.Concurrent;
using System.Text;

namespace ModelServe.Codec.Grammars;

/// <summary>Every token of a vocabulary as bytes, in one tree walked in preorder. Immutable and thread-safe; one per tokenizer.</summary>
/// <remarks>
/// A control token stands below the byte 0xFF, which no UTF-8 text contains: text never becomes one, and a grammar that wants one
/// says so. About two nodes for each token of a real vocabulary.
/// </remarks>
public sealed class TokenTrie
{
    /// <summary>The byte before a control token's text.</summary>
    internal const byte ControlMark = 0xFF;

    private readonly byte[] _label;
    private readonly byte[] _depth;
    private readonly int[] _end;
    private readonly int[] _token;
    private readonly int[] _sameBytes;
    private readonly byte[]?[] _bytes;
    private readonly HashSet<string> _controls;

    /// <summary>The tree of a vocabulary.</summary>
    /// <param name="tokens">Bytes of each token, by id; null or empty where the id has none. Longer than 255 bytes is left out.</param>
    /// <param name="controls">Text of each control token, by id, that a grammar may name; such an id's bytes are not used.</param>
    /// <param name="vocabularySize">Width of a mask, at least the number of tokens.</param>
    public TokenTrie(IReadOnlyList<byte[]?> tokens, IReadOnlyDictionary<int, byte[]> controls, int vocabularySize)
    {
        VocabularySize = vocabularySize;
        _controls = [.. controls.Values.Select(Encoding.UTF8.GetString)];
        _bytes = new byte[]?[vocabularySize];
        for (int id = 0; id < vocabularySize; id++)
        {
            byte[]? bytes = controls.TryGetValue(id, out byte[]? control) ? [ControlMark, .. control] : id < tokens.Count ? tokens[id] : null;
            // A byte-level vocabulary has a token for the byte of the mark; it must not lead into a control token's text.
            bool isMarked = bytes is [ControlMark, ..] && !controls.ContainsKey(id);
            _bytes[id] = bytes is { Length: > 0 and <= byte.MaxValue } && !isMarked ? bytes : null;
        }

        int[] order = [.. Enumerable.Range(0, vocabularySize).Where(id => _bytes[id] is not null)];
        Array.Sort(order, (a, b) => _bytes[a].AsSpan().SequenceCompareTo(_bytes[b]) is var c && c != 0 ? c : a.CompareTo(b));
        var label = new List<byte>();
        var depth = new List<byte>();
        var token = new List<int>();
        _sameBytes = new int[vocabularySize];
        Array.Fill(_sameBytes, -1);
        byte[] before = [];
        foreach (int id in order)
        {
            byte[] bytes = _bytes[id]!;
            int common = before.AsSpan().CommonPrefixLength(bytes);
            if (common == bytes.Length)
            {
                // Sorted, so only an equal text can be a prefix here.
                _sameBytes[id] = token[^1];
                token[^1] = id;
                continue;
            }

            for (int i = common; i < bytes.Length; i++)
            {
                label.Add(bytes[i]);
                depth.Add((byte)(i + 1));
                token.Add(-1);
            }

            token[^1] = id;
            before = bytes;
        }

        _label = [.. label];
        _depth = [.. depth];
        _token = [.. token];
        _end = Ends(_depth);
        LongestToken = order.Length == 0 ? 0 : order.Max(id => _bytes[id]!.Length);
    }

    /// <summary>The tree of a tokenizer's vocabulary; takes about 100 ms for 128,000 tokens.</summary>
    /// <param name="tokenizer">Whose tokens.</param>
    /// <param name="vocabularySize">Width of the model's logits, at least the tokenizer's.</param>
    public static TokenTrie Of(HfTokenizer tokenizer, int vocabularySize)
    {
        var tokens = new byte[]?[tokenizer.VocabularySize];
        var controls = new Dictionary<int, byte[]>();
        for (int id = 0; id < tokens.Length; id++)
        {
            if (tokenizer.IsSpecial(id))
            {
                controls.Add(id, Encoding.UTF8.GetBytes(tokenizer.TokenText(id) ?? ""));
            }
            else
            {
                tokens[id] = tokenizer.Spell(id).Bytes.ToArray();
            }
        }

        return new TokenTrie(tokens, controls, vocabularySize);
    }

    /// <summary>Masks of states that every grammar has, by automaton and state; made on first use.</summary>
    internal ConcurrentDictionary<(Automaton Automaton, int State), Lazy<StateMask>> SharedMasks { get; } = new();

    /// <summary>Ids are in [0, this).</summary>
    public int VocabularySize { get; }

    /// <summary>32-bit words of a mask.</summary>
    public int MaskWords => (VocabularySize + 31) / 32;

    /// <summary>Texts of the control tokens.</summary>
    internal IReadOnlySet<string> Controls => _controls;

    /// <summary>Bytes of the longest token.</summary>
    internal int LongestToken { get; }

    /// <summary>Byte of each node; nodes are numbered in preorder.</summary>
    internal ReadOnlySpan<byte> Labels => _label;

    /// <summary>Distance of each node from the root; its children are one further. At least 1.</summary>
    internal ReadOnlySpan<byte> Depths => _depth;

    /// <summary>The node after each node's last descendant.</summary>
    internal ReadOnlySpan<int> SubtreeEnds => _end;

    /// <summary>The token that each node spells, or -1; further tokens of the same bytes follow by <see cref="NextWithSameBytes"/>.</summary>
    internal ReadOnlySpan<int> Tokens => _token;

    /// <summary>Another token that spells the same bytes, or -1.</summary>
    internal int NextWithSameBytes(int token) => _sameBytes[token];

    /// <summary>The bytes that a token adds to the text; empty where it has none.</summary>
    internal ReadOnlySpan<byte> BytesOf(int token) => (uint)token < (uint)_bytes.Length ? _bytes[token] : [];

    /// <summary>Sets the bits of a node's tokens.</summary>
    internal void Allow(int node, Span<uint> mask)
    {
        for (int token = _token[node]; token >= 0; token = _sameBytes[token])
        {
            mask[token >> 5] |= 1u << (token & 31);
        }
    }

    private static int[] Ends(byte[] depth)
    {
        var end = new int[depth.Length];
        var open = new Stack<int>();
        for (int i = 0; i <= depth.Length; i++)
        {
            while (open.TryPeek(out int last) && (i == depth.Length || depth[last] >= depth[i]))
            {
                end[open.Pop()] = i;
            }

            if (i < depth.Length)
            {
                open.Push(i);
            }
        }

        return end;
    }
}
