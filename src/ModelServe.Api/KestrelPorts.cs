using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using ModelServe.Api.Security;

namespace ModelServe.Api;

/// <summary>Binds the ports and sets the limits that keep one client from holding the server.</summary>
public static class KestrelPorts
{
    /// <summary>
    /// Binds gRPC and HTTP. Without TLS each has a port of its own, because HTTP/2 and HTTP/1.1 cannot share one; with TLS every
    /// port speaks both, so that one is enough.
    /// </summary>
    /// <param name="kestrel">The server's options.</param>
    /// <param name="grpc">Where gRPC listens: an address, whose port 0 takes a free one, or a Unix domain socket.</param>
    /// <param name="http">Where health, metrics and other HTTP listen; null, or with TLS the same address, for no port of its own.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="ArgumentException">A port may not be bound; the message says why.</exception>
    public static void ListenModelServe(this KestrelServerOptions kestrel, EndPoint grpc, EndPoint? http, ApiOptions options)
    {
        SetLimits(kestrel, options);
        Listen(kestrel, grpc, options.Tls is null ? HttpProtocols.Http2 : HttpProtocols.Http1AndHttp2, options);
        if (http is not null && !(http.Equals(grpc) && http is not IPEndPoint { Port: 0 } && options.Tls is not null))
        {
            Listen(kestrel, http, options.Tls is null ? HttpProtocols.Http1 : HttpProtocols.Http1AndHttp2, options);
        }
    }

    /// <summary>Makes the sockets: the system's ordinary ones, and Unix domain sockets for this user alone.</summary>
    public static Socket BindSocket(EndPoint endpoint) =>
        endpoint is UnixDomainSocketEndPoint path ? UnixSocketFile.Bind(path.ToString()) : SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);

    private static void SetLimits(KestrelServerOptions kestrel, ApiOptions options)
    {
        kestrel.AddServerHeader = false;
        KestrelServerLimits limits = kestrel.Limits;
        limits.MaxConcurrentConnections = options.Connections;
        limits.MaxRequestHeadersTotalSize = 32 * 1024;
        limits.MaxRequestHeaderCount = 100;
        limits.MaxRequestLineSize = 8 * 1024;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(130);
        // Above the message limit, so that a client is told by gRPC's status and not by a broken body.
        limits.MaxRequestBodySize = 2L * options.Limits.MessageBytes;
        limits.Http2.MaxStreamsPerConnection = options.StreamsPerConnection;
        limits.Http2.MaxRequestHeaderFieldSize = 32 * 1024;
        limits.Http2.KeepAlivePingDelay = options.KeepAlivePing;
        limits.Http2.KeepAlivePingTimeout = options.KeepAlivePing;
    }

    private static void Listen(KestrelServerOptions kestrel, EndPoint endpoint, HttpProtocols protocols, ApiOptions options)
    {
        if (ListenerRule.Refusal(endpoint, options) is { } refusal)
        {
            throw new ArgumentException(refusal, nameof(endpoint));
        }

        kestrel.Listen(endpoint, port =>
        {
            port.Protocols = protocols;
            if (options.Tls is not null)
            {
                TlsCertificates certificates = kestrel.ApplicationServices.GetRequiredService<TlsCertificates>();
                port.UseHttps(new TlsHandshakeCallbackOptions
                {
                    HandshakeTimeout = TimeSpan.FromSeconds(10),
                    OnConnection = _ => ValueTask.FromResult(
                        certificates.Handshake([SslApplicationProtocol.Http2, SslApplicationProtocol.Http11])),
                });
            }
        });
    }
}
