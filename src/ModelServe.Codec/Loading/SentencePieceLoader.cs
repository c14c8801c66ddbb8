using System.Text;
using ModelServe.Codec.Lattice;
using ModelServe.Codec.Merging;
using ModelServe.Codec.SentencePieces;
using ModelServe.Codec.Splitting;

namespace ModelServe.Codec.Loading;

/// <summary>Makes a tokenizer's model of a SentencePiece file: BPE and Unigram; other kinds are refused.</summary>
internal static class SentencePieceLoader
{
    /// <summary>The model, the stages before it, and the user-defined pieces.</summary>
    /// <param name="file">What the file says.</param>
    public static (ITokenModel Model, List<IPreTokenizerStage> Stages, UserSymbols Symbols) Load(ModelFile file)
    {
        if (file.ModelType is not (1 or 2) || file.MarksEnds)
        {
            throw new UnsupportedFeatureException(file.MarksEnds
                ? "tokenizer.model: treat_whitespace_as_suffix is not supported."
                : $"tokenizer.model: the model type {file.ModelType} is not supported (Unigram is 1, BPE is 2).");
        }
        Dictionary<string, int> ids = new(file.Pieces.Count, StringComparer.Ordinal);
        int unknown = -1;
        for (int id = 0; id < file.Pieces.Count; id++)
        {
            ModelPiece piece = file.Pieces[id];
            if (!ids.TryAdd(piece.Text, id))
            {
                throw new InvalidTextModelException($"tokenizer.model: \"{piece.Text}\" is listed twice, as pieces {ids[piece.Text]} and {id}.");
            }
            if (piece.Kind == PieceKind.Unused)
            {
                throw new UnsupportedFeatureException($"tokenizer.model: unused pieces (piece {id}, \"{piece.Text}\") are not supported.");
            }
            if (piece.Kind == PieceKind.Unknown)
            {
                unknown = unknown < 0 ? id : throw new InvalidTextModelException($"tokenizer.model: pieces {unknown} and {id} are both the unknown one.");
            }
        }
        if (unknown < 0)
        {
            throw new InvalidTextModelException("tokenizer.model: no piece is the unknown one.");
        }
        var vocabulary = new BpeVocabulary(ids);
        var symbols = new UserSymbols(vocabulary);
        for (int id = 0; id < file.Pieces.Count; id++)
        {
            if (file.Pieces[id].Kind == PieceKind.UserDefined)
            {
                symbols.Add(file.Pieces[id].Text, id);
            }
        }
        var options = new BpeOptions(ByteLevel: false, IgnoreMerges: false, file.ByteFallback, FuseUnknown: true, unknown);
        List<IPreTokenizerStage> stages = [];
        if (file.ModelType == 1)
        {
            return (Unigram(file, vocabulary, options), stages, symbols);
        }
        HashSet<string> results = new(StringComparer.Ordinal);
        ITokenModel model = new BpeModel(vocabulary, Merges(file, vocabulary, results), options);
        if (!symbols.IsEmpty)
        {
            stages.Add(new UserSymbolStage(symbols));
            model = new UserSymbolModel(model, symbols);
        }
        if (SafeCutStage.For(vocabulary, results, options) is { } cut && symbols.IsEmpty)
        {
            stages.Add(cut);
        }
        return (model, stages, symbols);
    }

    private static UnigramModel Unigram(ModelFile file, BpeVocabulary vocabulary, BpeOptions options)
    {
        double[] scores = new double[file.Pieces.Count];
        bool[] segments = new bool[scores.Length];
        float least = float.PositiveInfinity;
        // The library's own start: the least positive normal number, which no score, being negative, exceeds.
        float most = 1.17549435e-38f;
        foreach (ModelPiece piece in file.Pieces.Where(piece => piece.Kind == PieceKind.Normal))
        {
            least = Math.Min(least, piece.Score);
            most = Math.Max(most, piece.Score);
        }
        if (!float.IsFinite(least))
        {
            throw new InvalidTextModelException("tokenizer.model: no piece is ordinary text.");
        }
        for (int id = 0; id < scores.Length; id++)
        {
            ModelPiece piece = file.Pieces[id];
            segments[id] = piece.Kind is PieceKind.Normal or PieceKind.UserDefined;
            // A user-defined piece is worth more than any way round it.
            scores[id] = piece.Kind == PieceKind.UserDefined
                ? (double)(float)(Encoding.UTF8.GetByteCount(piece.Text) * most) - 0.1
                : piece.Score;
        }
        float unknown = least - (float)UnigramScores.UnknownPenalty;
        return new UnigramModel(vocabulary, new UnigramScores(scores, segments, unknown, SinglePrecision: true), options);
    }

    /// <summary>Every way to put a piece together from two others; pieces of one score share a rank, so that the leftmost merges first.</summary>
    private static MergeTable Merges(ModelFile file, BpeVocabulary vocabulary, HashSet<string> results)
    {
        List<(int Left, int Right, int Whole)> pairs = [];
        for (int id = 0; id < file.Pieces.Count; id++)
        {
            string text = file.Pieces[id].Text;
            for (int cut = 1; cut < text.Length && file.Pieces[id].Kind == PieceKind.Normal; cut++)
            {
                if (char.IsLowSurrogate(text[cut]))
                {
                    continue;
                }
                int left = vocabulary.Find(text[..cut]);
                int right = vocabulary.Find(text[cut..]);
                if (left >= 0 && right >= 0)
                {
                    pairs.Add((left, right, id));
                    results.Add(text);
                }
            }
        }
        Dictionary<float, int> ranks = [];
        foreach (float score in file.Pieces.Select(piece => piece.Score).Distinct().OrderDescending())
        {
            ranks[score] = ranks.Count;
        }
        var table = new MergeTable(pairs.Count);
        foreach ((int left, int right, int whole) in pairs)
        {
            table.Add(left, right, ranks[file.Pieces[whole].Score], whole);
        }
        return table;
    }
}
