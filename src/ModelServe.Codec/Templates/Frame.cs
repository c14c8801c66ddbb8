namespace ModelServe.Codec.Templates;

/// <summary>The place of a variable: so many frames outward, then the slot.</summary>
/// <param name="Hops">Frames outward from the one that reads.</param>
/// <param name="Slot">Index in that frame.</param>
internal readonly record struct SlotReference(int Hops, int Slot);

/// <summary>How a slot is filled when its scope is entered.</summary>
/// <param name="Slot">The slot.</param>
/// <param name="ContextName">The variable of the render's context to take; null for another source.</param>
/// <param name="Source">The outer slot to copy; null to leave the slot missing.</param>
internal readonly record struct SlotLoad(int Slot, string? ContextName, SlotReference? Source);

/// <summary>The slots of a scope and what fills them on entry.</summary>
internal sealed class ScopeLayout(int size, SlotLoad[] loads)
{
    /// <summary>A scope without variables of its own.</summary>
    public static ScopeLayout Empty { get; } = new(0, []);

    /// <summary>Number of slots.</summary>
    public int Size => size;

    /// <summary>What fills them; slots not named here are parameters.</summary>
    public SlotLoad[] Loads => loads;
}

/// <summary>The variables of one scope during one render; owned by that render's thread.</summary>
internal sealed class Frame
{
    private readonly object?[] _slots;
    private readonly Frame? _parent;

    private Frame(int size, Frame? parent)
    {
        _slots = size == 0 ? [] : new object?[size];
        Array.Fill(_slots, Missing.Value);
        _parent = parent;
    }

    /// <summary>A frame whose slots are all missing.</summary>
    public static Frame Create(ScopeLayout layout, Frame? parent) => new(layout.Size, parent);

    /// <summary>A frame filled as its layout says.</summary>
    public static Frame Enter(ScopeLayout layout, Frame? parent, RenderState state)
    {
        Frame frame = Create(layout, parent);
        frame.Load(layout, state);
        return frame;
    }

    /// <summary>Fills the slots (again) as the layout says.</summary>
    public void Load(ScopeLayout layout, RenderState state)
    {
        foreach (SlotLoad load in layout.Loads)
        {
            _slots[load.Slot] = load.ContextName is not null ? state.Resolve(load.ContextName)
                : load.Source is SlotReference source ? Read(source) : Missing.Value;
        }
    }

    /// <summary>The value, or <see cref="Missing"/>.</summary>
    public object? Read(SlotReference reference) => At(reference.Hops)._slots[reference.Slot];

    /// <summary>Sets the value.</summary>
    public void Write(SlotReference reference, object? value) => At(reference.Hops)._slots[reference.Slot] = value;

    private Frame At(int hops)
    {
        Frame frame = this;
        for (; hops > 0; hops--)
        {
            frame = frame._parent!;
        }

        return frame;
    }
}
