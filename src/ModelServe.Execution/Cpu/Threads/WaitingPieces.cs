namespace ModelServe.Execution.Cpu.Threads;

/// <summary>How far a waiting thread has come in what it does meanwhile.</summary>
internal struct WaitingPieces
{
    /// <summary>Of which offer.</summary>
    public int Offer;

    /// <summary>The next piece.</summary>
    public int Next;

    /// <summary>Whether the thread's pieces are done.</summary>
    public bool AreDone;
}
