namespace ModelServe.Execution.Cpu;

/// <summary>Which blocks of a product's groups of rows have been arranged: each is given out once, to whoever needs the group first.</summary>
internal unsafe struct PreparedGroups
{
    // A cache line each.
    private const int Stride = 64 / sizeof(int);

    private int* _groups;
    private int _count;

    /// <summary>Bytes that so many groups take.</summary>
    public static long BytesFor(int groups) => (long)groups * Stride * sizeof(int);

    /// <summary>No block of these groups is arranged yet. Without groups, all are.</summary>
    public void Begin(byte* memory, int groups)
    {
        _groups = (int*)memory;
        _count = groups;
        for (var group = 0; group < groups; group++)
        {
            _groups[group * Stride] = 0;
            _groups[(group * Stride) + 1] = 0;
        }
    }

    /// <summary>Takes a block of a group that nobody has taken.</summary>
    public readonly bool TryTake(int group, int blocks, out int block)
    {
        ref var next = ref _groups[group * Stride];
        block = group < _count && Volatile.Read(ref next) < blocks ? Interlocked.Increment(ref next) - 1 : blocks;
        return block < blocks;
    }

    /// <summary>A block that was taken is arranged.</summary>
    public readonly void Done(int group) => Interlocked.Increment(ref _groups[(group * Stride) + 1]);

    /// <summary>Waits until all blocks of a group are arranged, those that other threads have taken too.</summary>
    public readonly void Await(int group, int blocks)
    {
        while (group < _count && Volatile.Read(ref _groups[(group * Stride) + 1]) < blocks)
        {
            Thread.SpinWait(1);
        }
    }
}
