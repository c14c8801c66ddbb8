using System.Buffers;
using System.Globalization;
using System.Text.Unicode;

namespace ModelServe.Codec.Decoding;

/// <summary>
/// ByteFallback: a run of <c>&lt;0xNN&gt;</c> tokens is held until another token comes, then is its UTF-8 text if valid as a whole,
/// else one U+FFFD a byte.
/// </summary>
internal sealed class ByteFallbackDecoder(DecoderStage next) : DecoderStage(next)
{
    private readonly CharBuffer _text = new();
    private byte[] _run = new byte[16];
    private int _count;

    /// <inheritdoc/>
    public override bool HoldsText => _count > 0 || base.HoldsText;

    /// <summary>Whether a token is a byte, and which.</summary>
    public static bool TryRead(ReadOnlySpan<char> token, out byte value)
    {
        value = 0;
        return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>' &&
            byte.TryParse(token[3..5], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }

    /// <inheritdoc/>
    public override void Push(ReadOnlySpan<char> token)
    {
        if (TryRead(token, out byte value))
        {
            if (_count == _run.Length)
            {
                Array.Resize(ref _run, _count * 2);
            }
            _run[_count++] = value;
            return;
        }
        EndRun();
        Next.Push(token);
    }

    /// <inheritdoc/>
    public override void End()
    {
        EndRun();
        base.End();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        _count = 0;
        base.Reset();
    }

    private void EndRun()
    {
        if (_count == 0)
        {
            return;
        }
        _text.Clear();
        Span<char> room = _text.Reserve(_count);
        OperationStatus status = Utf8.ToUtf16(_run.AsSpan(0, _count), room, out _, out int written, replaceInvalidSequences: false);
        int bytes = _count;
        _count = 0;
        if (status == OperationStatus.Done)
        {
            Next.Push(room[..written]);
            return;
        }
        for (int index = 0; index < bytes; index++)
        {
            Next.Push("\uFFFD");
        }
    }
}
