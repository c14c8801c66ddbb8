using System.Text;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// The text between two added tokens, cut into pieces by one pre-tokenizer stage after another. Reused from segment to
/// segment by one encoding; not thread-safe.
/// </summary>
internal sealed class PieceList
{
    private readonly StringBuilder _rewritten = new();
    private List<Piece> _pieces = [];
    private List<Piece> _next = [];

    /// <summary>The text that the pieces are ranges of.</summary>
    public string Text { get; private set; } = "";

    /// <summary>The pieces in text order.</summary>
    public IReadOnlyList<Piece> Pieces => _pieces;

    /// <summary>Number of pieces.</summary>
    public int Count => _pieces.Count;

    /// <summary>The piece of that index.</summary>
    public Piece this[int index] => _pieces[index];

    /// <summary>The chars of a piece.</summary>
    public ReadOnlySpan<char> Chars(Piece piece) => Text.AsSpan(piece.Start, piece.Length);

    /// <summary>Begins a new segment as one piece.</summary>
    public void Start(string text, int start, int length, bool isFirst)
    {
        Text = text;
        _pieces.Clear();
        if (length > 0)
        {
            _pieces.Add(new Piece(start, length, isFirst));
        }
    }

    /// <summary>Adds a part of the piece now being cut to the result of the stage; an empty part vanishes.</summary>
    public void Emit(Piece whole, int start, int end)
    {
        if (end > start)
        {
            _next.Add(new Piece(start, end - start, whole.IsFirst && start == whole.Start));
        }
    }

    /// <summary>Makes what was emitted the new pieces.</summary>
    public void EndStage()
    {
        (_pieces, _next) = (_next, _pieces);
        _next.Clear();
    }

    /// <summary>Replaces each piece's text; the pieces stay as many and as ordered.</summary>
    /// <param name="rewrite">Appends the new text of a piece.</param>
    public void Rewrite(Action<PieceList, Piece, StringBuilder> rewrite)
    {
        _rewritten.Clear();
        foreach (Piece piece in _pieces)
        {
            int start = _rewritten.Length;
            rewrite(this, piece, _rewritten);
            if (_rewritten.Length > start)
            {
                _next.Add(new Piece(start, _rewritten.Length - start, piece.IsFirst));
            }
        }
        Text = _rewritten.ToString();
        EndStage();
    }
}
