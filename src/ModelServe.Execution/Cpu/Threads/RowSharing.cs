using System.Runtime.InteropServices;
using ModelServe.Execution.Memory;
using ModelServe.Execution.Operations;

namespace ModelServe.Execution.Cpu.Threads;

/// <summary>Divides rows among the threads of a pool, each of which is done by managed code.</summary>
/// <remarks>The pool's caller alone. A call allocates nothing.</remarks>
internal sealed unsafe class RowSharing : IDisposable
{
    private readonly ForkJoinPool _pool;
    private readonly NativeBuffer _memory;
    private GCHandle _self;
    private PartShares _shares;
    private IRowWork? _work;

    /// <summary>For a pool that lives longer.</summary>
    public RowSharing(ForkJoinPool pool)
    {
        _pool = pool;
        _memory = new NativeBuffer(PartShares.BytesFor(pool.Threads));
        _self = GCHandle.Alloc(this, GCHandleType.Weak);
    }

    /// <summary>Does every row once, and returns when all are done.</summary>
    /// <exception cref="Exception">What a row threw; that of the lowest thread. The rows that it would have done next are done by others, or not at all.</exception>
    public void Run(IRowWork work, int rows)
    {
        var shares = Math.Min(rows, _pool.Threads);
        _work = work;
        _shares.Begin(_memory.Pointer, rows, shares);
        _pool.RunShares(&TakeRows, (void*)GCHandle.ToIntPtr(_self), shares, rows);
        _work = null;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        if (_self.IsAllocated)
        {
            _self.Free();
        }

        _memory.Dispose();
    }

    private static void TakeRows(void* context, int thread, int shares)
    {
        var sharing = (RowSharing)GCHandle.FromIntPtr((nint)context).Target!;
        var work = sharing._work!;
        while (sharing._shares.TryTake(thread, out var row, out _))
        {
            work.Do(row, thread);
        }
    }
}
