using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using ModelServe.Api.Security;

namespace ModelServe.Host.Options;

/// <summary>An address and port to listen on, or the path of a Unix domain socket.</summary>
/// <param name="Address">The interface; not looked at where there is a path.</param>
/// <param name="Port">0 lets the system choose.</param>
/// <param name="SocketPath">Absolute path of a Unix domain socket; null for an address.</param>
internal sealed record ListenAddress(IPAddress Address, int Port, string? SocketPath = null)
{
    private const string UnixScheme = "unix:";

    /// <summary>Whether only this machine can reach it.</summary>
    public bool IsLoopback => SocketPath is not null || IPAddress.IsLoopback(Address);

    /// <summary>Whether the system chooses, so that two of them are not the same.</summary>
    public bool IsChosenBySystem => SocketPath is null && Port == 0;

    /// <summary>The same, as the network library has it.</summary>
    public EndPoint ToEndPoint() => SocketPath is null ? new IPEndPoint(Address, Port) : new UnixDomainSocketEndPoint(SocketPath);

    /// <summary>Reads HOST:PORT, where HOST is an IP address, localhost, or * for every interface; or unix:/PATH.</summary>
    public static bool TryParse(string text, out ListenAddress? address)
    {
        address = null;
        if (text.StartsWith(UnixScheme, StringComparison.Ordinal))
        {
            string path = text[UnixScheme.Length..];
            if (!Path.IsPathRooted(path) || path.EndsWith('/') || path.Contains('\0', StringComparison.Ordinal)
                || Encoding.UTF8.GetByteCount(path) > UnixSocketFile.MaxPathBytes)
            {
                return false;
            }

            address = new ListenAddress(IPAddress.Loopback, 0, path);
            return true;
        }

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
    public override string ToString() => SocketPath is null ? ToEndPoint().ToString()! : UnixScheme + SocketPath;
}
