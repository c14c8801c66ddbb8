using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace ModelServe.Api.Security;

/// <summary>The certificate that handshakes get, and the authorities that clients must come from. Replaced as a whole; thread-safe.</summary>
/// <remarks>
/// Nothing is fetched from anywhere: no missing intermediates, no revocation lists. Connections keep what they began with; the
/// certificates of earlier loads are left to the collector, because handshakes may still use them.
/// </remarks>
internal sealed class TlsCertificates
{
    private const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    private readonly TlsFiles _files;
    private readonly TimeProvider _time;
    private State _state;

    /// <summary>Loads the files.</summary>
    /// <exception cref="InvalidDataException">One of them cannot be used; the message names it.</exception>
    public TlsCertificates(TlsFiles files, TimeProvider time)
    {
        _files = files;
        _time = time;
        _state = Read();
    }

    private sealed record State(SslStreamCertificateContext Server, X509Certificate2Collection? Authorities);

    /// <summary>Loads the files again; what was in force stays so if one cannot be used.</summary>
    /// <exception cref="InvalidDataException">One of them cannot be used; the message names it.</exception>
    public void Load() => Volatile.Write(ref _state, Read());

    /// <summary>A hash of the files' contents.</summary>
    public byte[] Fingerprint()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string? file in new[] { _files.CertificateFile, _files.KeyFile, _files.ClientCaFile })
        {
            hash.AppendData(file is null ? [] : SHA256.HashData(File.ReadAllBytes(file)));
        }

        return hash.GetHashAndReset();
    }

    /// <summary>What one handshake goes by.</summary>
    /// <param name="protocols">What the port speaks, best first.</param>
    public SslServerAuthenticationOptions Handshake(List<SslApplicationProtocol> protocols)
    {
        State state = Volatile.Read(ref _state);
        return new SslServerAuthenticationOptions
        {
            ServerCertificateContext = state.Server,
            ApplicationProtocols = protocols,
#pragma warning disable CA5398 // Older versions are what must not be spoken; the system would allow them.
            EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
#pragma warning restore CA5398
            ClientCertificateRequired = state.Authorities is not null,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
                state.Authorities is not { } authorities
                || (certificate is X509Certificate2 client && ComesFrom(authorities, client, chain)),
        };
    }

    private bool ComesFrom(X509Certificate2Collection authorities, X509Certificate2 client, X509Chain? sent)
    {
        using X509Chain chain = new();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(authorities);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = _time.GetUtcNow().UtcDateTime;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(ClientAuthentication));
        if (sent is not null)
        {
            chain.ChainPolicy.ExtraStore.AddRange(sent.ChainPolicy.ExtraStore);
        }

        return chain.Build(client);
    }

    private State Read()
    {
#pragma warning disable CA2000 // It belongs to the state, which lives until the next one takes its place and no handshake uses it.
        X509Certificate2 certificate = Try(
            $"{_files.CertificateFile}, {_files.KeyFile}",
            () => X509Certificate2.CreateFromPemFile(_files.CertificateFile, _files.KeyFile));
#pragma warning restore CA2000
        X509Certificate2Collection chain = Try(_files.CertificateFile, () => Collection(_files.CertificateFile));
        X509Certificate2Collection? authorities = _files.ClientCaFile is { } file ? Try(file, () => Collection(file)) : null;
        if (authorities is { Count: 0 })
        {
            throw new InvalidDataException($"{_files.ClientCaFile}: at least one certificate in PEM; got none");
        }

        return new State(SslStreamCertificateContext.Create(certificate, chain, offline: true), authorities);
    }

    private static X509Certificate2Collection Collection(string file)
    {
        X509Certificate2Collection all = [];
        all.ImportFromPemFile(file);
        return all;
    }

    private static T Try<T>(string files, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (error is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"{files}: {error.Message}", error);
        }
    }
}
