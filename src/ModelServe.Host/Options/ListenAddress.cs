using System.Globalization;
using System.Net;

namespace ModelServe.Host.Options;

/// <summary>An address and port to listen on.</summary>
/// <param name="Address">The interface.</param>
/// <param name="Port">0 lets the system choose.</param>
internal sealed record ListenAddress(IPAddress Address, int Port)
{
    /// <summary>Whether only this machine can reach it.</summary>
    public bool IsLoopback => IPAddress.IsLoopback(Address);

    /// <summary>The same, as the network library has it.</summary>
    public IPEndPoint ToEndPoint() => new(Address, Port);

    /// <summary>Reads HOST:PORT, where HOST is an IP address, localhost, or * for every interface.</summary>
    public static bool TryParse(string text, out ListenAddress? address)
    {
        address = null;
        int colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) || port > 65535)
        {
            return false;
        }

        string host = text[..colon];
        IPAddress? parsed = host switch
        {
            "localhost" => IPAddress.Loopback,
            "*" => IPAddress.Any,
            _ => IPAddress.TryParse(host.Trim('[', ']'), out IPAddress? ip) ? ip : null,
        };
        address = parsed is null ? null : new ListenAddress(parsed, port);
        return parsed is not null;
    }

    /// <inheritdoc />
    public override string ToString() => ToEndPoint().ToString();
}
