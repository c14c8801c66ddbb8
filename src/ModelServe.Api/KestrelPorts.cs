using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace ModelServe.Api;

/// <summary>Binds the two cleartext ports and sets the limits that keep one client from holding the server.</summary>
public static class KestrelPorts
{
    /// <summary>Binds gRPC (HTTP/2 without TLS) and HTTP/1.1, which cannot share a port without TLS.</summary>
    /// <param name="kestrel">The server's options.</param>
    /// <param name="grpc">Where gRPC listens; port 0 takes a free one.</param>
    /// <param name="http">Where health, metrics and other HTTP listen; null for nowhere.</param>
    /// <param name="options">The limits.</param>
    /// <exception cref="ArgumentException">A port lies beyond loopback, and the options do not allow that in cleartext.</exception>
    public static void ListenModelServe(this KestrelServerOptions kestrel, IPEndPoint grpc, IPEndPoint? http, ApiOptions options)
    {
        RefuseOpenCleartext("gRPC", grpc, options);
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = options.Connections;
        // Above the message limit, so that a client is told by gRPC's status and not by a broken body.
        kestrel.Limits.MaxRequestBodySize = Math.Max(kestrel.Limits.MaxRequestBodySize ?? 0, 2L * options.Limits.MessageBytes);
        kestrel.Limits.Http2.MaxStreamsPerConnection = options.StreamsPerConnection;
        kestrel.Limits.Http2.KeepAlivePingDelay = options.KeepAlivePing;
        kestrel.Limits.Http2.KeepAlivePingTimeout = options.KeepAlivePing;
        kestrel.Listen(grpc, port => port.Protocols = HttpProtocols.Http2);
        if (http is not null)
        {
            RefuseOpenCleartext("HTTP", http, options);
            kestrel.Listen(http, port => port.Protocols = HttpProtocols.Http1);
        }
    }

    private static void RefuseOpenCleartext(string name, IPEndPoint endpoint, ApiOptions options)
    {
        if (!IPAddress.IsLoopback(endpoint.Address) && !options.AllowCleartextBeyondLoopback)
        {
            throw new ArgumentException(
                $"{name} address: a loopback address, because the port carries neither encryption nor keys; got {endpoint}",
                nameof(endpoint));
        }
    }
}
