using System.Text;

namespace ModelServe.Codec.Streaming;

/// <summary>
/// Finds the first stop string in a stream of text deltas, whatever their boundaries, and holds back only what may still become
/// one: the longest suffix that is a proper prefix of some stop string. For one sequence; not thread-safe.
/// </summary>
public sealed class StopStringMatcher
{
    private readonly StopAutomaton? _automaton;
    private int _state;

    /// <summary>A matcher for one sequence.</summary>
    /// <param name="stops">
    /// Strings to look for, possibly none. The one that ends first wins; where several end at the same character, the longest.
    /// </param>
    /// <param name="includeStop">Whether the stop string itself is emitted.</param>
    /// <exception cref="ArgumentException">A stop string is empty.</exception>
    public StopStringMatcher(IReadOnlyList<string> stops, bool includeStop)
    {
        for (int index = 0; index < stops.Count; index++)
        {
            if (string.IsNullOrEmpty(stops[index]))
            {
                throw new ArgumentException($"Stop string {index} is empty.", nameof(stops));
            }
        }
        Stops = stops;
        IncludeStop = includeStop;
        _automaton = stops.Count == 0 ? null : new StopAutomaton(stops);
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

    /// <summary>Characters held back now.</summary>
    public int HeldBack => _automaton is null || IsStopped ? 0 : _automaton.Held(_state).Length;

    /// <summary>Takes the next delta and appends what is safe to emit; true once a stop string was met.</summary>
    /// <param name="delta">The next text.</param>
    /// <param name="output">Where text goes that can no longer become a stop string.</param>
    /// <param name="mayStop">
    /// False while the output has too few tokens to be ended (min_tokens): a stop string that ends in this delta is then ordinary
    /// text. One that began in such a delta and ends in a later one counts.
    /// </param>
    public bool Append(ReadOnlySpan<char> delta, StringBuilder output, bool mayStop = true)
    {
        if (IsStopped)
        {
            return true;
        }
        if (_automaton is null)
        {
            output.Append(delta);
            return false;
        }
        int position = 0;
        while (position < delta.Length)
        {
            if (_state == 0)
            {
                int candidate = _automaton.FirstCandidate(delta[position..]);
                int plain = candidate < 0 ? delta.Length - position : candidate;
                output.Append(delta.Slice(position, plain));
                position += plain;
                if (position == delta.Length)
                {
                    break;
                }
            }
            if (Step(_automaton, delta[position], output, mayStop))
            {
                return true;
            }
            position++;
        }
        return false;
    }

    /// <summary>Ends the stream: appends what was held back.</summary>
    public void Flush(StringBuilder output)
    {
        if (_automaton is not null && !IsStopped)
        {
            output.Append(_automaton.Held(_state));
        }
        _state = 0;
    }

    private bool Step(StopAutomaton automaton, char value, StringBuilder output, bool mayStop)
    {
        string before = automaton.Held(_state);
        _state = automaton.Step(_state, value);
        int stop = mayStop ? automaton.StopIn(_state) : -1;
        _state = mayStop ? _state : automaton.Unfinished(_state);
        int kept = stop >= 0 ? Stops[stop].Length : automaton.Held(_state).Length;
        int released = before.Length + 1 - kept;
        output.Append(before, 0, Math.Min(released, before.Length));
        if (released > before.Length)
        {
            output.Append(value);
        }
        if (stop < 0)
        {
            return false;
        }
        StopIndex = stop;
        if (IncludeStop)
        {
            output.Append(Stops[stop]);
        }
        return true;
    }
}
