using ModelServe.Codec.Added;
using ModelServe.Codec.Loading;
using ModelServe.Codec.Merging;
using ModelServe.Codec.Normalizing;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Tokenizing;

/// <summary>
/// The way of a text to ids: added tokens that are looked for as written, then for each stretch between them the normalizer, added
/// tokens that are looked for in normalized text, the pre-tokenizer, the model. Thread-safe.
/// </summary>
internal sealed class TextEncoder
{
    private const char Replacement = '\uFFFD';

    private readonly ITokenModel _model;
    private readonly ITextNormalizer? _normalizer;
    private readonly IReadOnlyList<IPreTokenizerStage> _stages;
    private readonly AddedTokenMatcher _written;
    private readonly AddedTokenMatcher _normalized;

    /// <summary>An encoder over what the files say.</summary>
    public TextEncoder(TokenizerFile file)
    {
        _model = file.Model;
        _normalizer = file.Normalizer;
        _stages = file.Stages;
        _written = new AddedTokenMatcher(file.Added.Values.Where(token => !token.Normalized).Select(token => (token.Content, token)));
        _normalized = new AddedTokenMatcher(file.Added.Values.Where(token => token.Normalized)
            .Select(token => (file.Normalizer?.Normalize(token.Content) ?? token.Content, token)));
    }

    /// <summary>Appends the ids of a text.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="rules">What is parsed and which parts run.</param>
    /// <param name="guarded">Ascending indexes of chars that no control token may cover.</param>
    /// <param name="ids">Where the ids go.</param>
    /// <param name="observer">Is told of each piece; may be null.</param>
    public void Encode(string text, EncodeRules rules, ReadOnlySpan<int> guarded, IdBuffer ids, IEncodeObserver? observer)
    {
        string whole = ReplaceLoneSurrogates(text);
        var run = new Run(rules, ids, observer);
        List<AddedTokenMatch> cover = [];
        _written.Cover(whole, rules.ParseControl, guarded, cover);
        foreach (AddedTokenMatch match in cover)
        {
            if (match.Id >= 0)
            {
                run.Added(whole.AsSpan(match.Start, match.End - match.Start), match.Id);
            }
            else if (_normalizer is null || !rules.Normalize)
            {
                Stretch(run, whole, match.Start, match.End, match.Start == 0, guarded);
            }
            else
            {
                string stretch = whole[match.Start..match.End];
                string normalized = _normalizer.Normalize(stretch);
                ReadOnlySpan<int> moved = _normalized.HasControl ? Move(guarded, stretch, match.Start, match.End) : [];
                Stretch(run, normalized, 0, normalized.Length, match.Start == 0, moved);
            }
        }
    }

    /// <summary>The text with U+FFFD for each half of a surrogate pair that stands alone; the same object where there is none.</summary>
    internal static string ReplaceLoneSurrogates(string text)
    {
        char[]? fixedText = null;
        int index = text.AsSpan().IndexOfAnyInRange('\uD800', '\uDFFF');
        while ((uint)index < (uint)text.Length)
        {
            if (char.IsHighSurrogate(text[index]) && index + 1 < text.Length && char.IsLowSurrogate(text[index + 1]))
            {
                index += 2;
            }
            else
            {
                if (char.IsSurrogate(text[index]))
                {
                    fixedText ??= text.ToCharArray();
                    fixedText[index] = Replacement;
                }
                index++;
            }
        }
        return fixedText is null ? text : new string(fixedText);
    }

    /// <summary>Where guarded chars of a stretch are after normalization, taking the normalized prefix as the measure.</summary>
    private int[] Move(ReadOnlySpan<int> guarded, string stretch, int start, int end)
    {
        SortedSet<int> moved = [];
        foreach (int position in guarded)
        {
            if (position >= start && position < end)
            {
                moved.Add(Math.Max(0, _normalizer!.Normalize(stretch[..(position - start + 1)]).Length - 1));
            }
        }
        return [.. moved];
    }

    private void Stretch(Run run, string text, int start, int end, bool isFirst, ReadOnlySpan<int> guarded)
    {
        if (_normalized.IsEmpty)
        {
            Words(run, text, start, end, isFirst);
            return;
        }
        ReadOnlySpan<int> inside = [];
        if (_normalized.HasControl && guarded.Length > 0)
        {
            int[] shifted = new int[guarded.Length];
            for (int index = 0; index < shifted.Length; index++)
            {
                shifted[index] = guarded[index] - start;
            }
            inside = shifted;
        }
        List<AddedTokenMatch> cover = [];
        _normalized.Cover(text.AsSpan(start, end - start), run.Rules.ParseControl, inside, cover);
        foreach (AddedTokenMatch match in cover)
        {
            int from = start + match.Start;
            int to = start + match.End;
            if (match.Id >= 0)
            {
                run.Added(text.AsSpan(from, to - from), match.Id);
            }
            else
            {
                Words(run, text, from, to, isFirst && match.Start == 0);
            }
        }
    }

    private void Words(Run run, string text, int start, int end, bool isFirst)
    {
        PieceList pieces = run.Pieces;
        pieces.Start(text, start, end - start, isFirst);
        if (run.Rules.Split)
        {
            foreach (IPreTokenizerStage stage in _stages)
            {
                stage.Apply(pieces);
            }
        }
        for (int index = 0; index < pieces.Count; index++)
        {
            ReadOnlySpan<char> piece = pieces.Chars(pieces[index]);
            int before = run.Ids.Count;
            _model.Encode(piece, run.Ids);
            run.Observer?.Piece(piece, run.Ids.From(before));
        }
    }

    /// <summary>What one encoding carries along.</summary>
    private sealed record Run(EncodeRules Rules, IdBuffer Ids, IEncodeObserver? Observer)
    {
        /// <summary>Reused from stretch to stretch.</summary>
        public PieceList Pieces { get; } = new();

        /// <summary>Takes an added token.</summary>
        public void Added(ReadOnlySpan<char> text, int id)
        {
            Ids.Add(id);
            Observer?.Added(text, id);
        }
    }
}
