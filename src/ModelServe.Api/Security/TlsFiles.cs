namespace ModelServe.Api.Security;

/// <summary>Where the server's certificate comes from, and whose clients it takes. Immutable.</summary>
/// <param name="CertificateFile">PEM: the server's certificate, then what leads from it to its root.</param>
/// <param name="KeyFile">PEM: its private key.</param>
/// <param name="ClientCaFile">PEM: the authorities whose clients are taken; null asks clients for no certificate.</param>
public sealed record TlsFiles(string CertificateFile, string KeyFile, string? ClientCaFile = null);
