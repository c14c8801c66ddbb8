namespace ModelServe.Execution.Cuda;

/// <summary>Where a device's memory comes from: the port between the executor, which plans bytes, and whoever owns them.</summary>
/// <remarks>
/// Blocks are taken while a model is loaded and given back together; a step takes none. The contents are undefined until written.
/// Thread: one at a time.
/// </remarks>
internal unsafe interface IDeviceMemory : IDisposable
{
    /// <summary>Takes a block that starts at a multiple of 256 bytes.</summary>
    /// <param name="bytes">At least 1.</param>
    /// <param name="purpose">What it is for, for the message of a refusal.</param>
    /// <exception cref="Memory.MemoryPlanException">The device has not that much left; the message has the numbers.</exception>
    byte* Take(long bytes, string purpose);
}
