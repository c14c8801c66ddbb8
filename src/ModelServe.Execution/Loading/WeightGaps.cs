using ModelServe.Execution.Memory;
using ModelServe.Execution.Models;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Loading;

/// <summary>Closes the gaps that matrices leave in the weights' memory when they come to take fewer bytes, and gives what is then free back to the system.</summary>
internal static unsafe class WeightGaps
{
    private const long Alignment = 64;

    /// <summary>Moves every weight as far towards the start as it goes, in their order.</summary>
    /// <param name="weights">Views of <paramref name="memory"/>, whose addresses nobody has noted yet.</param>
    /// <param name="memory">What holds them all.</param>
    /// <returns>The bytes that the weights take now.</returns>
    public static long Close(DecoderWeights weights, NativeBuffer memory)
    {
        var pieces = weights.Matrices.Select(matrix => new Piece((long)matrix.Data, matrix.Bytes, matrix, null))
            .Concat(weights.Vectors.Select(vector => new Piece((long)vector.Data, vector.Bytes, null, vector)))
            .OrderBy(piece => piece.Address);
        var free = memory.Pointer;
        foreach (var piece in pieces)
        {
            if (piece.Address != (long)free)
            {
                piece.Matrix?.MoveTo(free);
                piece.Vector?.MoveTo(free);
            }

            free += (piece.Bytes + Alignment - 1) / Alignment * Alignment;
        }

        var bytes = free - memory.Pointer;
        memory.GiveBackBeyond(bytes);
        return bytes;
    }

    private readonly record struct Piece(long Address, long Bytes, WeightMatrix? Matrix, WeightVector? Vector);
}
