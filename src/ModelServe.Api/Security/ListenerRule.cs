using System.Net;

namespace ModelServe.Api.Security;

/// <summary>The one rule for where a server may listen.</summary>
public static class ListenerRule
{
    /// <summary>Why a port may not be bound, or null: beyond this machine only with TLS and a way to tell who calls, or by explicit wish.</summary>
    public static string? Refusal(EndPoint endpoint, ApiOptions options)
    {
        bool knowsCallers = options.ApiKeyFile is not null || options.Tls?.ClientCaFile is not null;
        if (endpoint is not IPEndPoint { Address: { } address })
        {
            // A Unix domain socket: only this machine has it.
            return null;
        }

        if (IPAddress.IsLoopback(address) || options.AllowInsecureRemote || (options.Tls is not null && knowsCallers))
        {
            return null;
        }

        string missing = options.Tls is null && !knowsCallers ? "TLS or a key" : options.Tls is null ? "TLS" : "a key";
        return $"{endpoint} is reachable from other machines without {missing}; keep to loopback, set --tls-cert, --tls-key and --api-keys, or say --allow-insecure-remote";
    }
}
