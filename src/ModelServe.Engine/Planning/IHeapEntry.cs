namespace ModelServe.Engine.Planning;

/// <summary>Something that can stand in an <see cref="IndexedHeap{T}"/> and knows its place there.</summary>
internal interface IHeapEntry<in T>
{
    /// <summary>Place in the heap's array, or -1.</summary>
    int HeapIndex { get; set; }

    /// <summary>Whether this one comes out before <paramref name="other"/>; a strict order.</summary>
    bool ComesBefore(T other);
}
