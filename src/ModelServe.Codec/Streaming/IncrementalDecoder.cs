#pragma warning disable CA1822 // the bodies follow
using System.Buffers;
using System.Text;

namespace ModelServe.Codec.Streaming;

/// <summary>Turns one sequence's token ids into text as they arrive.</summary>
public sealed class IncrementalDecoder
{
    internal IncrementalDecoder()
    {
    }

    /// <summary>Takes the next id and appends the text that is complete now: possibly none, never half a character.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is negative or not in the vocabulary.</exception>
    public void Append(int id, StringBuilder output) => throw new InvalidTextModelException("The decoder is not built yet.");

    /// <summary>As the other overload, into a character buffer.</summary>
    public void Append(int id, IBufferWriter<char> output) => throw new InvalidTextModelException("The decoder is not built yet.");

    /// <summary>Ends the stream: appends what was held back (U+FFFD for bytes that never became a character).</summary>
    public void Flush(StringBuilder output) => throw new InvalidTextModelException("The decoder is not built yet.");

    /// <summary>As the other overload, into a character buffer.</summary>
    public void Flush(IBufferWriter<char> output) => throw new InvalidTextModelException("The decoder is not built yet.");

    /// <summary>Makes the decoder ready for another sequence.</summary>
    public void Reset() => throw new InvalidTextModelException("The decoder is not built yet.");
}
