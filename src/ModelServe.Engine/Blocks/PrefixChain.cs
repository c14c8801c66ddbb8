namespace ModelServe.Engine.Blocks;

/// <summary>A point in the chain of indexed blocks: everything before it is known to be equal, not only likely.</summary>
/// <param name="Low">Low half of the keyed hash of all blocks before.</param>
/// <param name="High">High half.</param>
/// <param name="Entry">Number of the index entry that ends here; 0 at the start of a sequence.</param>
/// <param name="Salt">Whose chain this is.</param>
internal readonly record struct PrefixChain(ulong Low, ulong High, long Entry, ulong Salt);
