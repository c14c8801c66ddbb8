namespace ModelServe.Benchmarks;

/// <summary>The sizes of a dense decoder checkpoint.</summary>
/// <param name="Architecture">As config.json names it.</param>
/// <param name="ModelType">As config.json names it.</param>
/// <param name="Vocabulary">Token ids.</param>
/// <param name="Hidden">Width of the residual stream.</param>
/// <param name="Layers">Decoder layers.</param>
/// <param name="Heads">Query heads.</param>
/// <param name="KvHeads">Key and value heads.</param>
/// <param name="HeadSize">Width of a head.</param>
/// <param name="Intermediate">Width of the gated MLP.</param>
/// <param name="Tied">Whether the output layer is the embedding table.</param>
/// <param name="QkNorm">Whether queries and keys are normalised per head.</param>
internal sealed record CheckpointShape(
    string Architecture,
    string ModelType,
    int Vocabulary,
    int Hidden,
    int Layers,
    int Heads,
    int KvHeads,
    int HeadSize,
    int Intermediate,
    bool Tied,
    bool QkNorm);
