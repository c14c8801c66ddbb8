namespace ModelServe.Codec.ToolCalls;

/// <summary>Reads one of a few markers at a fixed place of the text, a char at a time; none may begin with another.</summary>
internal sealed class MarkerChoice(params string[] markers)
{
    private ulong _alive;

    /// <summary>Chars of a marker read so far.</summary>
    public int Length { get; private set; }

    /// <summary>The marker of the last match.</summary>
    public int Matched { get; private set; }

    /// <summary>
    /// Takes one char: <see cref="ScanStatus.Done"/> at the end of a marker, which then stands in <see cref="Matched"/>;
    /// <see cref="ScanStatus.Failed"/> where none goes on so, and <see cref="Length"/> tells what was read in vain.
    /// </summary>
    public ScanStatus Step(char value)
    {
        ulong alive = 0;
        for (int index = 0; index < markers.Length; index++)
        {
            if ((Length == 0 || (_alive >> index & 1) != 0) && markers[index][Length] == value)
            {
                alive |= 1UL << index;
                if (Length + 1 == markers[index].Length)
                {
                    Matched = index;
                    Length = 0;
                    return ScanStatus.Done;
                }
            }
        }

        if (alive == 0)
        {
            return ScanStatus.Failed;
        }

        _alive = alive;
        Length++;
        return ScanStatus.More;
    }

    /// <summary>Begins anew.</summary>
    public void Reset() => Length = 0;
}
