namespace ModelServe.Engine.Running;

/// <summary>Resumes the readers whom a step has news for: threads of the pool take them one by one from one list.</summary>
/// <remarks>
/// A work item for each reader would cost the pool's queue hundreds of turns a step, and wake and put to sleep its threads many times
/// over. Here one item is in the pool's queue as long as readers are left: whoever runs it puts it there again and then takes one reader after
/// the other. The pool decides how many threads come to help, and a reader that takes long holds up nobody but the thread it runs on.
/// Thread: the one that publishes begins, adds and sends. Allocates nothing once the lists have their size.
/// </remarks>
internal sealed class ReaderWakes
{
    // One is filled while the threads are still at another; more only where a reader blocks its thread.
    private readonly Batch?[] _idle = new Batch?[4];
    private Batch? _filling;
    private int _thread;

    /// <summary>Whether this thread publishes the news of a step at this moment, so that readers gather here.</summary>
    public bool IsOfThisThread => Volatile.Read(ref _thread) == Environment.CurrentManagedThreadId;

    /// <summary>This thread publishes from now on.</summary>
    public void Begin() => Volatile.Write(ref _thread, Environment.CurrentManagedThreadId);

    /// <summary>Adds a reader whose wait is over.</summary>
    public void Add(RequestStream stream) => (_filling ??= Take()).Add(stream);

    /// <summary>Lets the pool resume everybody that was added.</summary>
    public void Send()
    {
        Volatile.Write(ref _thread, 0);
        if (_filling is { } batch)
        {
            _filling = null;
            batch.Send();
        }
    }

    private Batch Take()
    {
        for (var i = 0; i < _idle.Length; i++)
        {
            if (Interlocked.Exchange(ref _idle[i], null) is { } batch)
            {
                return batch;
            }
        }

        return new Batch(this);
    }

    private void Return(Batch batch)
    {
        for (var i = 0; i < _idle.Length; i++)
        {
            if (Interlocked.CompareExchange(ref _idle[i], batch, null) is null)
            {
                return;
            }
        }
    }

    private sealed class Batch(ReaderWakes owner) : IThreadPoolWorkItem
    {
        private RequestStream?[] _streams = new RequestStream?[64];
        private int _count;
        private int _next;
        private int _isQueued;
        private int _inside;

        public void Add(RequestStream stream)
        {
            if (_count == _streams.Length)
            {
                Array.Resize(ref _streams, _count * 2);
            }

            _streams[_count++] = stream;
        }

        public void Send()
        {
            _next = 0;
            _isQueued = 1;
            _inside = 1;
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }

        public void Execute()
        {
            Volatile.Write(ref _isQueued, 0);
            // Of one reader this thread takes care itself.
            if (Volatile.Read(ref _next) + 1 < _count && Interlocked.Exchange(ref _isQueued, 1) == 0)
            {
                Interlocked.Increment(ref _inside);
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }

            for (int at; (at = Interlocked.Increment(ref _next) - 1) < _count;)
            {
                var stream = _streams[at]!;
                _streams[at] = null;
                stream.Resume();
            }

            // The last one out finds everybody resumed: each has left only after there was nobody to take.
            if (Interlocked.Decrement(ref _inside) == 0)
            {
                _count = 0;
                owner.Return(this);
            }
        }
    }
}
