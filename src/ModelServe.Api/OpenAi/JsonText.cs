using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace ModelServe.Api.OpenAi;

/// <summary>Writes pieces of JSON as UTF-8 straight into a buffer. Nothing is allocated.</summary>
/// <remarks>A struct over the caller's writer; strings may be any UTF-16, half a pair becomes U+FFFD.</remarks>
internal readonly struct JsonText(IBufferWriter<byte> target)
{
    private static readonly SearchValues<char> Escaped = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(code => (char)code), '"', '\\']);

    /// <summary>Bytes that are JSON already.</summary>
    public void Raw(ReadOnlySpan<byte> json) => target.Write(json);

    /// <summary>A string with its quotes.</summary>
    public void String(ReadOnlySpan<char> text)
    {
        Raw("\""u8);
        StringPart(text);
        Raw("\""u8);
    }

    /// <summary>A part of a string, without quotes. Parts may not cut a surrogate pair.</summary>
    public void StringPart(ReadOnlySpan<char> text)
    {
        while (!text.IsEmpty)
        {
            int plain = text.IndexOfAny(Escaped);
            plain = plain < 0 ? text.Length : plain;
            if (plain > 0)
            {
                Span<byte> room = target.GetSpan(plain * 3);
                target.Advance(Encoding.UTF8.GetBytes(text[..plain], room));
                text = text[plain..];
            }

            if (!text.IsEmpty)
            {
                Escape(text[0]);
                text = text[1..];
            }
        }
    }

    /// <summary>An integer.</summary>
    public void Number(long value)
    {
        Span<byte> room = target.GetSpan(20);
        Utf8Formatter.TryFormat(value, room, out int written);
        target.Advance(written);
    }

    /// <summary>A number; one that is not finite, which JSON cannot write, becomes the largest of its sign.</summary>
    public void Number(float value)
    {
        float finite = float.IsNaN(value) ? -9999f : Math.Clamp(value, -9999f, float.MaxValue);
        Span<byte> room = target.GetSpan(32);
        finite.TryFormat(room, out int written, "R", CultureInfo.InvariantCulture);
        target.Advance(written);
    }

    private void Escape(char value)
    {
        switch (value)
        {
            case '"':
                Raw("\\\""u8);
                break;
            case '\\':
                Raw("\\\\"u8);
                break;
            case '\n':
                Raw("\\n"u8);
                break;
            case '\r':
                Raw("\\r"u8);
                break;
            case '\t':
                Raw("\\t"u8);
                break;
            default:
                Span<byte> room = target.GetSpan(6);
                "\\u00"u8.CopyTo(room);
                room[4] = (byte)"0123456789abcdef"[value >> 4];
                room[5] = (byte)"0123456789abcdef"[value & 15];
                target.Advance(6);
                break;
        }
    }
}
