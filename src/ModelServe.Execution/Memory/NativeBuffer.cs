using System.Runtime.InteropServices;
using ModelServe.Execution.Native;

namespace ModelServe.Execution.Memory;

/// <summary>Owns one run of memory outside the managed heap, on 2 MiB pages where the system has them.</summary>
/// <remarks>
/// Decoding reads every weight once a step: with 4 KiB pages a fifth of the bandwidth goes to page walks. The contents are
/// undefined until written. Pages are taken when first written, so a large buffer costs nothing before it is filled.
/// </remarks>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private const nuint LargePage = 2 << 20;
    private byte* _pointer;

    /// <summary>Takes <paramref name="bytes"/> bytes; at least 1.</summary>
    /// <exception cref="OutOfMemoryException">The system has not that much address space.</exception>
    public NativeBuffer(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes);
        Bytes = bytes;
        var large = (nuint)bytes >= LargePage;
        var size = large ? ((nuint)bytes + LargePage - 1) / LargePage * LargePage : (nuint)bytes;
        _pointer = (byte*)NativeMemory.AlignedAlloc(size, large ? LargePage : 64);
        if (large)
        {
            LargePages.Advise(_pointer, size);
        }
    }

    /// <summary>Frees the memory of a buffer that nobody disposed.</summary>
    ~NativeBuffer() => Free();

    /// <summary>The first byte, a multiple of 64.</summary>
    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer is null, this);
            return _pointer;
        }
    }

    /// <summary>Bytes asked for.</summary>
    public long Bytes { get; }

    /// <summary>Gives the whole 2 MiB pages beyond the first <paramref name="bytes"/> bytes back to the system: what was there is lost, and what is written there takes pages anew.</summary>
    /// <returns>The bytes given back; 0 where the system does not take them.</returns>
    public long GiveBackBeyond(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, Bytes);
        if (Bytes < (long)LargePage)
        {
            return 0;
        }

        var (start, end) = (WholePages(bytes), WholePages(Bytes));
        return end > start && LargePages.GiveBack(Pointer + start, (nuint)(end - start)) ? end - start : 0;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private static long WholePages(long bytes) => (bytes + (long)LargePage - 1) / (long)LargePage * (long)LargePage;

    private void Free()
    {
        NativeMemory.AlignedFree(_pointer);
        _pointer = null;
    }
}
