using System.Numerics;

namespace ModelServe.Codec.Grammars;

/// <summary>The tokens that may come at one place of a text, in the smallest of three forms. Immutable.</summary>
/// <remarks>
/// Inside a string nearly every token may come, and which ones is the same wherever that string stands; such a place keeps a
/// reference to those and a list of the few that are its own.
/// </remarks>
internal sealed class AllowedTokens
{
    private readonly uint[]? _most;
    private readonly int[] _more;

    private AllowedTokens(uint[]? most, int[] more, int bytes)
    {
        _most = most;
        _more = more;
        Bytes = bytes;
        Any = more.Length > 0 || most.AsSpan().ContainsAnyExcept(0u);
    }

    /// <summary>Whether there is any.</summary>
    public bool Any { get; }

    /// <summary>Memory that it does not share.</summary>
    public int Bytes { get; }

    /// <summary>Keeps a mask.</summary>
    /// <param name="mask">A bit for each token; copied.</param>
    /// <param name="shared">Words that somebody else keeps, none of whose bits the mask lacks; null for none.</param>
    public static AllowedTokens Of(ReadOnlySpan<uint> mask, uint[]? shared)
    {
        int more = 0;
        for (int i = 0; i < mask.Length; i++)
        {
            more += BitOperations.PopCount(shared is null ? mask[i] : mask[i] & ~shared[i]);
        }

        return more > mask.Length
            ? new AllowedTokens(mask.ToArray(), [], mask.Length * sizeof(uint))
            : new AllowedTokens(shared, List(mask, shared, more), more * sizeof(int));
    }

    /// <summary>Writes the mask.</summary>
    /// <param name="mask">As many words as it was made of.</param>
    public void CopyTo(Span<uint> mask)
    {
        if (_most is null)
        {
            mask.Clear();
        }
        else
        {
            _most.CopyTo(mask);
        }

        foreach (int token in _more)
        {
            mask[token >> 5] |= 1u << (token & 31);
        }
    }

    /// <summary>The ids of a mask's bits that <paramref name="but"/> lacks, ascending.</summary>
    public static int[] List(ReadOnlySpan<uint> mask, uint[]? but, int count)
    {
        if (count == 0)
        {
            return [];
        }

        int[] ids = new int[count];
        int at = 0;
        for (int i = 0; i < mask.Length; i++)
        {
            for (uint bits = but is null ? mask[i] : mask[i] & ~but[i]; bits != 0; bits &= bits - 1)
            {
                ids[at++] = (i * 32) + BitOperations.TrailingZeroCount(bits);
            }
        }

        return ids;
    }
}
