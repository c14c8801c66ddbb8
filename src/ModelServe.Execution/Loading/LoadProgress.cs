namespace ModelServe.Execution.Loading;

/// <summary>How far loading has come.</summary>
/// <param name="File">The file being read.</param>
/// <param name="BytesRead">Bytes of tensors read so far, over all files.</param>
/// <param name="BytesTotal">Bytes of all tensors.</param>
public readonly record struct LoadProgress(string File, long BytesRead, long BytesTotal);
