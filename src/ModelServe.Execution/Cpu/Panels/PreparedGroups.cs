namespace ModelServe.Execution.Cpu.Panels;

/// <summary>Which pieces of a product's groups of activations have been arranged: each is given out once, to whoever needs its group first.</summary>
/// <remarks>So the threads that multiply a group arrange it too, without a call of the pool between. <see cref="Begin"/> is called between the calls of a pool, the others by the threads of one.</remarks>
internal unsafe struct PreparedGroups
{
    // A cache line each: the next piece, and how many are done.
    private const int Stride = 64 / sizeof(int);

    private int* _groups;

    /// <summary>Bytes that so many groups take.</summary>
    public static long BytesFor(int groups) => (long)groups * Stride * sizeof(int);

    /// <summary>No piece of these groups is arranged yet.</summary>
    /// <param name="memory">Room for them, a multiple of 64.</param>
    /// <param name="groups">Groups.</param>
    public void Begin(byte* memory, int groups)
    {
        _groups = (int*)memory;
        for (var group = 0; group < groups; group++)
        {
            _groups[group * Stride] = 0;
            _groups[(group * Stride) + 1] = 0;
        }
    }

    /// <summary>Takes a piece of a group that nobody has taken.</summary>
    public readonly bool TryTake(int group, int pieces, out int piece)
    {
        ref var next = ref _groups[group * Stride];
        piece = Volatile.Read(ref next) < pieces ? Interlocked.Increment(ref next) - 1 : pieces;
        return piece < pieces;
    }

    /// <summary>A piece that was taken is arranged.</summary>
    public readonly void Done(int group) => Interlocked.Increment(ref _groups[(group * Stride) + 1]);

    /// <summary>Waits until all pieces of a group are arranged, those that other threads have taken too.</summary>
    public readonly void Await(int group, int pieces)
    {
        ref var done = ref _groups[(group * Stride) + 1];
        if (Volatile.Read(ref done) == pieces)
        {
            return;
        }

        // Whoever arranges them may have lost its processor to another program, or even to this thread.
        SpinWait spin = default;
        do
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }
        while (Volatile.Read(ref done) != pieces);
    }
}
