using System.Text.RegularExpressions;

namespace ModelServe.Trainer.Text;

/// <summary>A byte-level BPE vocabulary with three special tokens, and its encoder.</summary>
internal sealed partial class Bpe
{
    /// <summary>The Qwen2 pre-tokenizer: every digit stands alone.</summary>
    public const string Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    public const int EndOfText = 0;
    public const int StartOfTurn = 1;
    public const int EndOfTurn = 2;

    /// <summary>The special tokens in the order of their ids.</summary>
    public static readonly string[] Specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

    private readonly Dictionary<string, int> _ids = [];
    private readonly List<string> _tokens = [];
    private readonly Dictionary<(string Left, string Right), int> _ranks = [];
    private readonly Dictionary<string, int[]> _cache = [];

    public Bpe(IReadOnlyList<(string Left, string Right)> merges)
    {
        Merges = merges;
        foreach (string token in Specials.Concat(ByteAlphabet.All.Select(c => c.ToString())))
        {
            Add(token);
        }

        foreach ((string left, string right) in merges)
        {
            _ranks.Add((left, right), _ranks.Count);
            Add(left + right);
        }
    }

    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    public IReadOnlyList<string> Tokens => _tokens;

    public static IEnumerable<string> Pieces(string text) => PreTokenizer().Matches(text).Select(m => ByteAlphabet.Encode(m.Value));

    /// <summary>Encodes plain text; special tokens in it are not recognised.</summary>
    public IEnumerable<int> Encode(string text) => Pieces(text).SelectMany(EncodePiece);

    public string Decode(IEnumerable<int> ids) => ByteAlphabet.Decode(string.Concat(ids.Where(i => i >= Specials.Length).Select(i => _tokens[i])));

    private void Add(string token)
    {
        _ids.Add(token, _tokens.Count);
        _tokens.Add(token);
    }

    private int[] EncodePiece(string piece)
    {
        if (_cache.TryGetValue(piece, out int[]? known))
        {
            return known;
        }

        List<string> parts = [.. piece.Select(c => c.ToString())];
        while (true)
        {
            int best = int.MaxValue;
            int at = -1;
            for (int i = 0; i + 1 < parts.Count; i++)
            {
                if (_ranks.TryGetValue((parts[i], parts[i + 1]), out int rank) && rank < best)
                {
                    (best, at) = (rank, i);
                }
            }

            if (at < 0)
            {
                break;
            }

            parts[at] += parts[at + 1];
            parts.RemoveAt(at + 1);
        }

        int[] ids = [.. parts.Select(p => _ids[p])];
        if (_cache.Count < 100_000)
        {
            _cache.Add(piece, ids);
        }

        return ids;
    }

    [GeneratedRegex(Pattern)]
    private static partial Regex PreTokenizer();
}
