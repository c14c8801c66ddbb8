using System.Text;
using ModelServe.Codec.Merging;

namespace ModelServe.Codec.Splitting;

/// <summary>
/// ByteLevel's rewriting of each UTF-8 byte as a printable character, needed only where another stage follows it; as the last
/// stage it happens inside the model.
/// </summary>
internal sealed class ByteTextStage : IPreTokenizerStage
{
    /// <inheritdoc/>
    public void Apply(PieceList pieces) => pieces.Rewrite(static (list, piece, output) =>
    {
        Span<byte> bytes = stackalloc byte[4];
        foreach (Rune rune in list.Chars(piece).EnumerateRunes())
        {
            int count = rune.EncodeToUtf8(bytes);
            foreach (byte value in bytes[..count])
            {
                output.Append(ByteAlphabet.CharOf(value));
            }
        }
    });
}
