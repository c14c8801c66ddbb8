using System.Text;
using ModelServe.Codec.Streaming;

namespace ModelServe.Codec.ToolCalls;

/// <summary>
/// Finds markers anywhere in running text and holds back only what may still become one: the beginning of a marker and, where
/// asked for, the white space before it, which belongs to the marker.
/// </summary>
internal sealed class MarkerFinder
{
    private readonly StopAutomaton? _automaton;
    private readonly bool _holdSpace;
    private readonly StringBuilder _held = new();
    private int _space;
    private int _state;

    /// <summary>A finder; without markers everything is released at once.</summary>
    public MarkerFinder(IReadOnlyList<string> markers, bool holdSpace)
    {
        _automaton = markers.Count == 0 ? null : new StopAutomaton(markers);
        _holdSpace = holdSpace && markers.Count > 0;
    }

    /// <summary>Whether nothing but white space is held.</summary>
    public bool HoldsNoMarker => _held.Length == _space;

    /// <summary>What is held: white space, then the marker or its beginning.</summary>
    public StringBuilder Held => _held;

    /// <summary>Takes one char, appends what is certainly text; the index of the marker that is complete now, or -1.</summary>
    public int Step(char value, StringBuilder released)
    {
        if (_automaton is null)
        {
            released.Append(value);
            return -1;
        }

        _state = _automaton.Step(_state, value);
        _held.Append(value);
        int marker = _automaton.StopIn(_state);
        Release(_held.Length - _automaton.Held(_state).Length, released);
        return marker;
    }

    /// <summary>Forgets what is held.</summary>
    public void Clear()
    {
        _held.Clear();
        _space = 0;
        _state = 0;
    }

    // The first chars are no part of a marker any more: text, but for the white space at their end.
    private void Release(int plain, StringBuilder released)
    {
        if (plain == _space)
        {
            return;
        }

        int space = plain;
        while (_holdSpace && space > _space && TextRules.IsSpace(_held[space - 1]))
        {
            space--;
        }

        // White space that was held already stays held only where all that follows it is white space too.
        int end = space == _space ? 0 : space;
        released.Append(_held, 0, end);
        _held.Remove(0, end);
        _space = plain - end;
    }
}
