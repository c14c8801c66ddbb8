namespace ModelServe.Execution.Operations;

/// <summary>Something that is done for each of some rows, independently of the others.</summary>
/// <remarks>Called from several threads at once, but never from two for the same row or with the same thread number.</remarks>
internal interface IRowWork
{
    /// <summary>Does a row.</summary>
    /// <param name="row">Its number, from 0.</param>
    /// <param name="thread">The number of the calling thread, below <see cref="IOps.Threads"/>; 0 is the engine's.</param>
    void Do(int row, int thread);
}
