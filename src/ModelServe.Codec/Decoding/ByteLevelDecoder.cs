using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Decoding;

/// <summary>
/// ByteLevel: tokens are bytes in the byte alphabet (or, with any other character, their own UTF-8), the stream is UTF-8. Nothing
/// is emitted before a code point is complete; bytes that never complete one become U+FFFD.
/// </summary>
internal sealed class ByteLevelDecoder(DecoderStage next) : DecoderStage(next)
{
    private readonly Decoder _utf8 = Encoding.UTF8.GetDecoder();
    private readonly CharBuffer _text = new();
    private byte[] _bytes = new byte[64];

    /// <inheritdoc/>
    public override bool HoldsText => _utf8.GetCharCount([], flush: true) > 0 || base.HoldsText;

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        if (_bytes.Length < token.Length * 3)
        {
            _bytes = new byte[token.Length * 3];
        }
        Decode(_bytes.AsSpan(0, Bytes(token)), flush: false);
    }

    /// <inheritdoc/>
    public override void End()
    {
        Decode([], flush: true);
        base.End();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _utf8.Reset();
        base.Reset();
    }

    private int Bytes(ReadOnlySpan<char> token)
    {
        for (int index = 0; index < token.Length; index++)
        {
            int value = ByteAlphabet.ByteOf(token[index]);
            if (value < 0)
            {
                return Encoding.UTF8.GetBytes(token, _bytes);
            }
            _bytes[index] = (byte)value;
        }
        return token.Length;
    }

    private void Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        _text.Clear();
        // A byte gives one char at most; the bytes held from before give up to three U+FFFD more.
        Span<char> room = _text.Reserve(bytes.Length + 4);
        int written = _utf8.GetChars(bytes, room, flush);
        if (written > 0)
        {
            Next.Push(room[..written]);
        }
    }
}
