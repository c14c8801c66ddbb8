using Grpc.Net.Client;

namespace ModelServe.Client;

/// <summary>How a <see cref="ModelServeClient"/> behaves. Immutable.</summary>
public sealed record ModelServeClientOptions
{
    /// <summary>The key, sent as a bearer token with every call; null sends none.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Time after which a call that names no deadline of its own ends; null leaves it to the server's maximum.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>When a refused request is tried again.</summary>
    public RetryOptions Retry { get; init; } = new();

    /// <summary>The clock of deadlines and waits.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Silence after which a connection is pinged while calls are open, so that a dead server is noticed.</summary>
    public TimeSpan KeepAlivePing { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Changes the handler before the first connection, for client certificates, proxies or a trusted authority.</summary>
    public Action<SocketsHttpHandler>? ConfigureHandler { get; init; }

    /// <summary>A channel for many concurrent streams; the caller disposes it.</summary>
    internal GrpcChannel Open(Uri address)
    {
        var handler = new SocketsHttpHandler
        {
            // One connection carries a hundred streams by default; more would queue in the client without a word.
            EnableMultipleHttp2Connections = true,
            PooledConnectionIdleTimeout = System.Threading.Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = KeepAlivePing,
            KeepAlivePingTimeout = KeepAlivePing,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        };
        ConfigureHandler?.Invoke(handler);
        return GrpcChannel.ForAddress(
            address, new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true, MaxReceiveMessageSize = null });
    }
}
