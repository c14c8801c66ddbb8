using System.Globalization;
using System.Text;
using ModelServe.Codec.Normalizing;

namespace ModelServe.Codec.SentencePieces;

/// <summary>What a SentencePiece model file (a protocol buffer) says, as far as encoding needs it.</summary>
internal sealed class ModelFile
{
    private const int MostPieces = 1 << 24;
    private const int LongestPiece = 4096;

    private readonly List<ModelPiece> _pieces = [];

    private ModelFile()
    {
    }

    /// <summary>The pieces by id.</summary>
    public IReadOnlyList<ModelPiece> Pieces => _pieces;

    /// <summary>1 is Unigram, 2 BPE, 3 words, 4 characters.</summary>
    public int ModelType { get; private set; } = 1;

    /// <summary>Whether unknown characters become bytes.</summary>
    public bool ByteFallback { get; private set; }

    /// <summary>Whether the space mark ends a word instead of beginning it.</summary>
    public bool MarksEnds { get; private set; }

    /// <summary>Whether a space is put before every text.</summary>
    public bool AddsDummyPrefix { get; private set; } = true;

    /// <summary>Whether runs of spaces shrink to one, and to none at the ends.</summary>
    public bool RemovesExtraSpaces { get; private set; } = true;

    /// <summary>Whether spaces are written as U+2581.</summary>
    public bool EscapesSpaces { get; private set; } = true;

    /// <summary>The replacements, or null where text stays as it is.</summary>
    public CharsMap? Map { get; private set; }

    /// <summary>Reads a file's content.</summary>
    /// <exception cref="FormatException">The content is not such a file; the message says what is wrong.</exception>
    public static ModelFile Read(ReadOnlySpan<byte> content)
    {
        var file = new ModelFile();
        var reader = new ProtoReader(content);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    file.AddPiece(reader.Bytes);
                    break;
                case 2:
                    file.ReadTrainer(reader.Bytes);
                    break;
                case 3:
                    file.ReadNormalizer(reader.Bytes);
                    break;
                default:
                    break;
            }
        }
        return file._pieces.Count > 0 ? file : throw new FormatException("the file has no pieces");
    }

    private void AddPiece(ReadOnlySpan<byte> message)
    {
        string text = "";
        float score = 0;
        PieceKind kind = PieceKind.Normal;
        var reader = new ProtoReader(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    text = Text(reader.Bytes);
                    break;
                case 2:
                    score = reader.Single;
                    break;
                case 3:
                    kind = reader.Number is >= 1 and <= 6 ? (PieceKind)reader.Number : PieceKind.None;
                    break;
                default:
                    break;
            }
        }
        if (text.Length is 0 or > LongestPiece || kind == PieceKind.None || !float.IsFinite(score) || _pieces.Count == MostPieces)
        {
            throw new FormatException(string.Create(
                CultureInfo.InvariantCulture, $"piece {_pieces.Count} is empty, longer than {LongestPiece}, of an unknown kind, without a finite score, or beyond {MostPieces}"));
        }
        _pieces.Add(new ModelPiece(text, score, kind));
    }

    private string Text(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(bytes);
        }
        catch (ArgumentException failure)
        {
            throw new FormatException(string.Create(CultureInfo.InvariantCulture, $"piece {_pieces.Count} is not UTF-8"), failure);
        }
    }

    private void ReadTrainer(ReadOnlySpan<byte> message)
    {
        var reader = new ProtoReader(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 3:
                    ModelType = (int)reader.Number;
                    break;
                case 24:
                    MarksEnds = reader.Number != 0;
                    break;
                case 35:
                    ByteFallback = reader.Number != 0;
                    break;
                default:
                    break;
            }
        }
    }

    private void ReadNormalizer(ReadOnlySpan<byte> message)
    {
        var reader = new ProtoReader(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 2:
                    Map = reader.Bytes.IsEmpty ? null : CharsMap.Read(reader.Bytes);
                    break;
                case 3:
                    AddsDummyPrefix = reader.Number != 0;
                    break;
                case 4:
                    RemovesExtraSpaces = reader.Number != 0;
                    break;
                case 5:
                    EscapesSpaces = reader.Number != 0;
                    break;
                default:
                    break;
            }
        }
    }
}
