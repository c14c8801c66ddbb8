namespace ModelServe.Trainer.Text;

/// <summary>
/// Learns merges only at the start of words that begin with a space, a capital or punctuation, and of the two role names.
/// Lower-case text after a quote therefore stays one token a letter, so that questions about letters see letters.
/// </summary>
internal static class BpeTrainer
{
    private static readonly HashSet<string> Roles = ["user", "assistant"];

    /// <summary>Counts the pieces of a corpus and merges the most frequent leading pair until the vocabulary is full.</summary>
    public static Bpe Train(IEnumerable<string> corpus, int vocabulary, int minimum)
    {
        Dictionary<string, int> counts = [];
        foreach (string piece in corpus.SelectMany(Bpe.Pieces).Where(Mergeable))
        {
            counts[piece] = counts.GetValueOrDefault(piece) + 1;
        }

        List<(List<string> Parts, int Count)> words =
            [.. counts.Where(c => c.Value >= minimum).OrderBy(c => c.Key, StringComparer.Ordinal)
                .Select(c => (c.Key.Select(k => k.ToString()).ToList(), c.Value))];
        List<(string, string)> merges = [];
        while (merges.Count < vocabulary - Bpe.Specials.Length - 256)
        {
            Dictionary<(string, string), int> pairs = [];
            foreach ((List<string> parts, int count) in words.Where(w => w.Parts.Count > 1))
            {
                (string, string) pair = (parts[0], parts[1]);
                pairs[pair] = pairs.GetValueOrDefault(pair) + count;
            }

            if (pairs.Count == 0)
            {
                break;
            }

            // Pairs of the role names come last: their pieces must not break the words that start with a space.
            (string left, string right) = pairs.OrderBy(p => IsRolePiece(p.Key.Item1)).ThenByDescending(p => p.Value)
                .ThenBy(p => p.Key.Item1 + p.Key.Item2, StringComparer.Ordinal).First().Key;
            merges.Add((left, right));
            foreach ((List<string> parts, _) in words.Where(w => w.Parts.Count > 1 && w.Parts[0] == left && w.Parts[1] == right))
            {
                parts[0] += parts[1];
                parts.RemoveAt(1);
            }
        }

        return new Bpe(merges);
    }

    private static bool IsRolePiece(string piece) => char.IsAsciiLetterLower(piece[0]);

    private static bool Mergeable(string piece)
    {
        char first = piece[0];
        bool word = first == 'Ġ' || (char.IsAsciiLetterUpper(first) && piece.Skip(1).Any(char.IsAsciiLetterLower));
        return word || Roles.Contains(piece) || !piece.Any(char.IsLetterOrDigit);
    }
}
