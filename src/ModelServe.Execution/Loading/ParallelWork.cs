using System.Runtime.ExceptionServices;

namespace ModelServe.Execution.Loading;

/// <summary>Runs numbered pieces of loading on a few threads.</summary>
internal static class ParallelWork
{
    /// <summary>Calls <paramref name="body"/> once for each number below <paramref name="count"/>, in about that order; each thread brings its own scratch.</summary>
    /// <exception cref="Exception">What the first piece to fail threw; later pieces are not begun then.</exception>
    public static void Run<TScratch>(int count, int threads, Func<TScratch> scratch, Action<int, TScratch> body)
    {
        var next = -1;
        Exception? failure = null;
        Parallel.For(0, Math.Min(threads, count), new ParallelOptions { MaxDegreeOfParallelism = threads }, _ =>
        {
            try
            {
                var own = scratch();
                for (var i = Interlocked.Increment(ref next); i < count && Volatile.Read(ref failure) is null; i = Interlocked.Increment(ref next))
                {
                    body(i, own);
                }
            }
#pragma warning disable CA1031 // Rethrown below, without the wrapping that the library adds.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Interlocked.CompareExchange(ref failure, exception, null);
            }
        });
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }
}
