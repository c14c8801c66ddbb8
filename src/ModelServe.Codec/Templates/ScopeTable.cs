namespace ModelServe.Codec.Templates;

/// <summary>
/// The names of one scope while a template is bound. The rules are Jinja2's: a scope that assigns a name has its own variable of
/// that name, which starts as the outer one, as the context's or as missing, depending on what is done with it first.
/// </summary>
internal sealed class ScopeTable
{
    private enum Origin
    {
        Parameter,
        Context,
        Outer,
        Nothing,
    }

    private readonly ScopeTable? _parent;
    private readonly Dictionary<string, int> _slots;
    private readonly HashSet<string> _known = [];
    private readonly HashSet<string> _stored = [];
    private readonly Dictionary<string, Origin> _origins = [];

    /// <summary>An empty scope inside <paramref name="parent"/>.</summary>
    public ScopeTable(ScopeTable? parent)
        : this(parent, [])
    {
    }

    private ScopeTable(ScopeTable? parent, Dictionary<string, int> slots)
    {
        _parent = parent;
        _slots = slots;
    }

    /// <summary>Where the name lies, seen from this scope; null when no scope knows it.</summary>
    public SlotReference? Find(string name)
    {
        int hops = 0;
        for (ScopeTable? table = this; table is not null; table = table._parent, hops++)
        {
            if (table._known.Contains(name))
            {
                return new SlotReference(hops, table._slots[name]);
            }
        }

        return null;
    }

    /// <summary>Notes a read.</summary>
    public void Load(string name)
    {
        if (Find(name) is null)
        {
            Define(name, Origin.Context);
        }
    }

    /// <summary>Notes an assignment.</summary>
    public void Store(string name)
    {
        _stored.Add(name);
        if (!_known.Contains(name))
        {
            Define(name, _parent?.Find(name) is null ? Origin.Nothing : Origin.Outer);
        }
    }

    /// <summary>Notes a variable that the scope's owner fills; its place.</summary>
    public SlotReference DeclareParameter(string name)
    {
        _stored.Add(name);
        Define(name, Origin.Parameter);
        return new SlotReference(0, _slots[name]);
    }

    /// <summary>A copy for one branch of a condition; slots are shared with the original.</summary>
    public ScopeTable CopyForBranch()
    {
        var copy = new ScopeTable(_parent, _slots);
        copy.TakeOver(this);
        return copy;
    }

    /// <summary>Joins the branches of a condition: what only some of them assign starts as it would without the assignment.</summary>
    public void Join(params ReadOnlySpan<ScopeTable> branches)
    {
        var counts = new Dictionary<string, int>();
        foreach (ScopeTable branch in branches)
        {
            foreach (string name in branch._stored)
            {
                if (!_stored.Contains(name))
                {
                    counts[name] = counts.GetValueOrDefault(name) + 1;
                }
            }
        }

        foreach (ScopeTable branch in branches)
        {
            TakeOver(branch);
        }

        foreach ((string name, int count) in counts)
        {
            if (count < branches.Length)
            {
                _origins[name] = _parent?.Find(name) is null ? Origin.Context : Origin.Outer;
            }
        }
    }

    /// <summary>The slots and how they are filled.</summary>
    public ScopeLayout ToLayout()
    {
        var loads = new List<SlotLoad>();
        foreach ((string name, Origin origin) in _origins)
        {
            int slot = _slots[name];
            switch (origin)
            {
                case Origin.Context:
                    loads.Add(new SlotLoad(slot, name, null));
                    break;
                case Origin.Outer:
                    SlotReference outer = _parent!.Find(name)!.Value;
                    loads.Add(new SlotLoad(slot, null, outer with { Hops = outer.Hops + 1 }));
                    break;
                default:
                    loads.Add(new SlotLoad(slot, null, null));
                    break;
            }
        }

        return new ScopeLayout(_slots.Count, [.. loads]);
    }

    private void Define(string name, Origin origin)
    {
        _slots.TryAdd(name, _slots.Count);
        _known.Add(name);
        _origins[name] = origin;
    }

    private void TakeOver(ScopeTable other)
    {
        _known.UnionWith(other._known);
        _stored.UnionWith(other._stored);
        foreach ((string name, Origin origin) in other._origins)
        {
            _origins[name] = origin;
        }
    }
}
