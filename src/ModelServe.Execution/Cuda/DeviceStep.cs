namespace ModelServe.Execution.Cuda;

/// <summary>What the operations read of the step they work on: addresses on the device, and the most that each array may hold.</summary>
/// <remarks>
/// The bounds fix the launches and the counters on the device the work, so that one captured run of operations serves every
/// smaller step. Set by the executor before a step or a capture. Thread: the engine's.
/// </remarks>
internal sealed unsafe class DeviceStep
{
    /// <summary>Addresses of the image, laid out as <see cref="Layout"/> says.</summary>
    public byte* Image { get; set; }

    /// <summary>The image's layout.</summary>
    public required StepImage Layout { get; set; }

    /// <summary>Launch bound of rows.</summary>
    public int Rows { get; set; }

    /// <summary>Launch bound of tokens.</summary>
    public int Tokens { get; set; }

    /// <summary>Launch bound of sampled rows.</summary>
    public int Sampled { get; set; }

    /// <summary>Launch bound of block table changes.</summary>
    public int Deltas { get; set; }

    /// <summary>Rows, the first ones, that feed one token and attend by <see cref="Items"/>; the rest attend by tiles.</summary>
    public int DecodeRows { get; set; }

    /// <summary>Launch bound of work items.</summary>
    public int Items { get; set; }

    /// <summary>Launch bound of query tiles.</summary>
    public int Tiles { get; set; }

    /// <summary>[scored] the token's place; of a step that scores prompt tokens.</summary>
    public int* ScoredTokens { get; set; }

    /// <summary>[3]: rows, tokens, changes.</summary>
    public int* Counts => (int*)Image;

    /// <summary>[1] tokens.</summary>
    public int* TokenCount => (int*)Image + 1;

    /// <summary>[1] sampled rows.</summary>
    public int* SampledCount => (int*)Image + 3;

    /// <summary>[2] work items, tokens of a chunk.</summary>
    public int* WorkCount => (int*)Image + 4;

    /// <summary>[1] query tiles.</summary>
    public int* TileCount => (int*)Image + 6;

    /// <summary>An array of the image.</summary>
    public int* At(int offset) => (int*)(Image + offset);
}
