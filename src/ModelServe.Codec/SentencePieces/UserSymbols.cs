using ModelServe.Codec.Merging;

namespace ModelServe.Codec.SentencePieces;

/// <summary>The user-defined pieces of a SentencePiece model, which always stay whole. Control tokens among them are left out.</summary>
/// <param name="vocabulary">Knows which tokens are control tokens.</param>
internal sealed class UserSymbols(BpeVocabulary vocabulary)
{
    private readonly Dictionary<char, List<(string Text, int Id)>> _byFirst = [];

    /// <summary>Whether there is none.</summary>
    public bool IsEmpty => _byFirst.Count == 0;

    /// <summary>Adds one; called while loading only.</summary>
    public void Add(string text, int id)
    {
        if (!_byFirst.TryGetValue(text[0], out List<(string Text, int Id)>? list))
        {
            _byFirst[text[0]] = list = [];
        }
        list.Add((text, id));
        list.Sort((left, right) => right.Text.Length.CompareTo(left.Text.Length));
    }

    /// <summary>The longest one that a text begins with: its chars and id, or 0.</summary>
    public int Match(ReadOnlySpan<char> text, out int id)
    {
        if (text.Length > 0 && _byFirst.TryGetValue(text[0], out List<(string Text, int Id)>? list))
        {
            foreach ((string symbol, int own) in list)
            {
                if (text.StartsWith(symbol, StringComparison.Ordinal) && !vocabulary.IsControl(own))
                {
                    id = own;
                    return symbol.Length;
                }
            }
        }
        id = -1;
        return 0;
    }
}
