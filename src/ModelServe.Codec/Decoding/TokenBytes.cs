using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Decoding;

/// <summary>What single tokens add to the bytes of a decoded text. Immutable; thread-safe.</summary>
internal sealed class TokenBytes(DecoderPlan plan)
{
    /// <summary>Whether a token adds something else at the start of a text than elsewhere.</summary>
    public bool DependsOnPlace => !plan.IsByteLevel;

    /// <summary>The bytes of a token.</summary>
    /// <param name="token">As the vocabulary writes it.</param>
    /// <param name="atStart">Whether it is the first of its text.</param>
    public byte[] Of(string token, bool atStart)
    {
        if (plan.IsByteLevel)
        {
            return ByteLevel(token);
        }
        // A byte of a longer character is a character only together with its neighbours; the decoder would give U+FFFD for it alone.
        if (plan.HasByteFallback && ByteFallbackDecoder.TryRead(token, out byte value) && value >= 0x80)
        {
            return [value];
        }
        var sink = new TextSink();
        DecoderStage first = plan.Build(sink);
        if (!atStart)
        {
            first.Push("x");
        }
        int before = sink.Text.Count;
        first.Push(token);
        first.End();
        return Encoding.UTF8.GetBytes(sink.Text.Written[before..].ToString());
    }

    private static byte[] ByteLevel(string token)
    {
        byte[] bytes = new byte[token.Length];
        for (int index = 0; index < token.Length; index++)
        {
            int value = ByteAlphabet.ByteOf(token[index]);
            if (value < 0)
            {
                return Encoding.UTF8.GetBytes(token);
            }
            bytes[index] = (byte)value;
        }
        return bytes;
    }
}
