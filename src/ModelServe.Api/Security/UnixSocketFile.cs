using System.Net.Sockets;

namespace ModelServe.Api.Security;

/// <summary>Binds a Unix domain socket that only the user of this process can connect to.</summary>
/// <remarks>
/// The file gets mode 0600 after it is bound and before anybody can connect, since nobody can before the socket listens. A file that a killed
/// process left is taken away; one that somebody listens on, and one that is no socket, are not.
/// </remarks>
public static class UnixSocketFile
{
    /// <summary>Longest path in bytes that the system takes.</summary>
    public const int MaxPathBytes = 107;

    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>A bound socket that does not listen yet; the file goes when it is disposed.</summary>
    /// <exception cref="IOException">The path is taken, or no socket can be made there; the message names it.</exception>
    public static Socket Bind(string path)
    {
        RemoveStale(path);
        var endpoint = new UnixDomainSocketEndPoint(path);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(endpoint);
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, OwnerOnly);
            }

            return socket;
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw new IOException($"{path}: a path at which a socket can be made; {exception.Message}", exception);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path)
    {
        if (!Path.Exists(path) && !File.Exists(path))
        {
            return;
        }

        if (!IsSocket(path))
        {
            throw new IOException($"{path}: a path that is free; got a file that is no socket");
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }
        catch (SocketException exception)
        {
            throw new IOException($"{path}: a path that is free; {exception.Message}", exception);
        }

        throw new IOException($"{path}: a path that is free; got one that somebody listens on");
    }

    // Whoever opens a socket as a file is told that there is no such device; everything else opens, or is forbidden.
    private static bool IsSocket(string path)
    {
        if (Directory.Exists(path))
        {
            return false;
        }

        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }
}
