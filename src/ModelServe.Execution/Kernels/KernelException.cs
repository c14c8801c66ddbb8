using System.Text;

namespace ModelServe.Execution.Kernels;

/// <summary>A native call failed; the message is the library's, naming field, limit and value.</summary>
public sealed class KernelException : Exception
{
    private const int TextBytes = 512;

    /// <summary>Makes an exception without a reason.</summary>
    public KernelException()
    {
    }

    /// <summary>Makes an exception with a message.</summary>
    public KernelException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception with a message and a cause.</summary>
    public KernelException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Makes the exception for a status and its text.</summary>
    public KernelException(KernelStatus status, string text)
        : base($"native library: {text} ({status})") => Status = status;

    /// <summary>What the call reported.</summary>
    public KernelStatus Status { get; }

    /// <summary>Throws with the calling thread's last error text unless the status is 0.</summary>
    /// <exception cref="KernelException">The status is not 0.</exception>
    public static void ThrowIfFailed(int status)
    {
        if (status != 0)
        {
            throw Last(status);
        }
    }

    /// <summary>The exception for a status that is not 0, with the calling thread's last error text.</summary>
    internal static KernelException Last(int status) => new((KernelStatus)status, LastError());

    private static unsafe string LastError()
    {
        var buffer = stackalloc byte[TextBytes];
        var length = (int)Math.Min(NativeMethods.ms_last_error(buffer, TextBytes), TextBytes - 1);
        return Encoding.UTF8.GetString(buffer, length);
    }
}
