using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using ModelServe.Api.Security;

namespace ModelServe.Api.Tests.Security;

/// <summary>An authority that a test makes up, and certificates from it in PEM files.</summary>
public sealed class TestAuthority : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-tls").FullName;
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestAuthority(string name = "authority")
    {
        var request = new CertificateRequest("CN=" + name, _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Certificate = request.CreateSelfSigned(Now.AddDays(-30), Now.AddDays(30));
        File.WriteAllText(CaFile, Certificate.ExportCertificatePem());
    }

    public static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public X509Certificate2 Certificate { get; }

    public string CaFile => Path.Combine(_folder, "ca.pem");

    public TlsFiles Files => new(Path.Combine(_folder, "server.pem"), Path.Combine(_folder, "server.key"));

    public TestAuthority WithServer(string name = "localhost")
    {
        using X509Certificate2 server = Issue(name, "1.3.6.1.5.5.7.3.1");
        using ECDsa key = server.GetECDsaPrivateKey()!;
        File.WriteAllText(Files.KeyFile, key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(Files.CertificateFile, server.ExportCertificatePem());
        return this;
    }

    public X509Certificate2 Client(bool expired = false) => Issue("client", "1.3.6.1.5.5.7.3.2", expired);

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private X509Certificate2 Issue(string name, string purpose, bool expired = false)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using X509Certificate2 issued = request.Create(
            Certificate, Now.AddDays(-20), expired ? Now.AddDays(-1) : Now.AddDays(10), RandomNumberGenerator.GetBytes(12));
        using X509Certificate2 whole = issued.CopyWithPrivateKey(key);
        // Only a certificate with a stored key can be offered by a client on every system.
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }
}
