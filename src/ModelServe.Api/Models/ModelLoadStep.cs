namespace ModelServe.Api.Models;

/// <summary>How far a load has come.</summary>
/// <param name="Stage">What is being done.</param>
/// <param name="File">The file being read, without its folder; null outside <see cref="ModelLoadStage.Weights"/>.</param>
/// <param name="Bytes">Bytes of weights read.</param>
/// <param name="BytesTotal">Bytes of all weights.</param>
public readonly record struct ModelLoadStep(ModelLoadStage Stage, string? File = null, long Bytes = 0, long BytesTotal = 0);

/// <summary>The parts of a load, in order.</summary>
public enum ModelLoadStage
{
    /// <summary>Tokenizer, template, config and headers are read and checked.</summary>
    Checking,

    /// <summary>Weights are read.</summary>
    Weights,

    /// <summary>The engine starts.</summary>
    Starting,
}
