#pragma warning disable CA1822 // the bodies follow
using System.Text;

namespace ModelServe.Codec.Streaming;

/// <summary>Finds the first stop string in a stream of text deltas and holds back only what may still become one.</summary>
public sealed class StopStringMatcher
{
    /// <summary>A matcher for one sequence.</summary>
    /// <param name="stops">Non-empty strings; where two end at the same character, the one that began first wins.</param>
    /// <param name="includeStop">Whether the stop string itself is emitted.</param>
    public StopStringMatcher(IReadOnlyList<string> stops, bool includeStop)
    {
        Stops = stops;
        IncludeStop = includeStop;
    }

    /// <summary>The strings looked for.</summary>
    public IReadOnlyList<string> Stops { get; }

    /// <summary>Whether the stop string is emitted.</summary>
    public bool IncludeStop { get; }

    /// <summary>Index in <see cref="Stops"/> of the string that ended the stream; -1 while none has.</summary>
    public int StopIndex { get; private set; } = -1;

    /// <summary>Whether a stop string was met; text after it is dropped.</summary>
    public bool IsStopped => StopIndex >= 0;

    /// <summary>The stop string that was met, or null.</summary>
    public string? MatchedStop => IsStopped ? Stops[StopIndex] : null;

    /// <summary>Takes the next delta and appends what is safe to emit; true once a stop string was met.</summary>
    public bool Append(ReadOnlySpan<char> delta, StringBuilder output)
    {
        StopIndex = -1;
        throw new InvalidTextModelException("The matcher is not built yet.");
    }

    /// <summary>Ends the stream: appends what was held back.</summary>
    public void Flush(StringBuilder output) => throw new InvalidTextModelException("The matcher is not built yet.");

    /// <summary>Characters held back now.</summary>
    public int HeldBack => 0;
}
