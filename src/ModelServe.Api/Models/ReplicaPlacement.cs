namespace ModelServe.Api.Models;

/// <summary>Where the requests of one call went, or which replica refused them last.</summary>
/// <param name="Replica">Number of the replica.</param>
/// <param name="QueuedAhead">Requests that waited there before them.</param>
internal readonly record struct ReplicaPlacement(int Replica, int QueuedAhead);
