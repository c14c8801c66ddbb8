using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ModelServe.Api.Security;

/// <summary>Reads the key file and the TLS files at start, and again whenever they change or SIGHUP comes.</summary>
/// <remarks>
/// A file that cannot be used at start ends the start; one that cannot be used later leaves in force what was, and is told in
/// one line. The files are compared by content every interval, which works with any file system and with the link swaps of
/// mounted secrets.
/// </remarks>
internal sealed partial class FileReload : IHostedService, IDisposable
{
    private readonly ApiOptions _options;
    private readonly ApiKeyRing _ring;
    private readonly TlsCertificates? _tls;
    private readonly TimeProvider _time;
    private readonly ILogger<FileReload> _logger;
    private readonly Lock _lock = new();
    private byte[] _keysSeen = [];
    private byte[] _tlsSeen = [];
    private ITimer? _timer;
    private PosixSignalRegistration? _hangup;

    /// <summary>Reads the files for the first time.</summary>
    /// <exception cref="InvalidDataException">One of them cannot be used; the message names file and place.</exception>
    public FileReload(ApiOptions options, ApiKeyRing ring, TimeProvider time, ILogger<FileReload> logger, IServiceProvider services)
    {
        _options = options;
        _ring = ring;
        _tls = services.GetService<TlsCertificates>();
        _time = time;
        _logger = logger;
        LookAtKeys();
        _tlsSeen = _tls?.Fingerprint() ?? [];
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_options.ApiKeyFile is not null || _tls is not null)
        {
            _timer = _time.CreateTimer(_ => Look(), null, _options.ReloadInterval, _options.ReloadInterval);
            _hangup = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
            {
                signal.Cancel = true;
                Look();
            });
        }

        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        Dispose();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        _hangup?.Dispose();
    }

    private void Look()
    {
        lock (_lock)
        {
            Guard("API keys", LookAtKeys);
            Guard("TLS certificates", LookAtCertificates);
        }
    }

    private void Guard(string what, Action look)
    {
        try
        {
            look();
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException or CryptographicException)
        {
            Log.Kept(_logger, what, error.Message);
        }
    }

    private void LookAtKeys()
    {
        if (_options.ApiKeyFile is not { } path)
        {
            return;
        }

        byte[] bytes = ApiKeyFile.ReadBytes(path);
        byte[] hash = SHA256.HashData(bytes);
        if (!hash.AsSpan().SequenceEqual(_keysSeen))
        {
            // Remembered first: a bad file is told once and not at every look.
            _keysSeen = hash;
            IReadOnlyList<ApiKey> keys = ApiKeyFile.Parse(path, bytes);
            _ring.Replace(keys);
            Log.Keys(_logger, keys.Count, path);
        }
    }

    private void LookAtCertificates()
    {
        if (_tls is not null && _tls.Fingerprint() is var seen && !seen.AsSpan().SequenceEqual(_tlsSeen))
        {
            _tlsSeen = seen;
            _tls.Load();
            Log.Certificates(_logger, _options.Tls!.CertificateFile);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Count} API keys are in force, from {File}")]
        public static partial void Keys(ILogger logger, int count, string file);

        [LoggerMessage(2, LogLevel.Information, "New TLS handshakes get the certificate of {File}")]
        public static partial void Certificates(ILogger logger, string file);

        [LoggerMessage(3, LogLevel.Error, "{What}: what was in force stays so: {Reason}")]
        public static partial void Kept(ILogger logger, string what, string reason);
    }
}
