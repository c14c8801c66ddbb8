using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace ModelServe.Execution.Native;

/// <summary>What the system keeps about a file beside its contents.</summary>
/// <param name="Device">The file system it lies in.</param>
/// <param name="Inode">Its number there.</param>
/// <param name="Owner">Its owner's user id.</param>
/// <param name="Mode">Kind and permissions, as <c>st_mode</c> has them.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="Modified">When its contents last changed, in nanoseconds since 1970; whoever may write the file may set it.</param>
/// <param name="Changed">When contents or status last changed; the system alone sets it.</param>
internal sealed partial record FileStatus(ulong Device, ulong Inode, uint Owner, int Mode, long Bytes, Int128 Modified, Int128 Changed)
{
    private const int CurrentFolder = -100;
    private const int DoNotFollow = 0x100;
    private const uint BasicFields = 0x7FF;
    private const int KindMask = 0xF000;
    private const int FolderKind = 0x4000;
    private const int FileKind = 0x8000;
    private const int WritableByOthers = 0x12;

    /// <summary>Whether it is a folder.</summary>
    public bool IsFolder => (Mode & KindMask) == FolderKind;

    /// <summary>Whether it is a plain file.</summary>
    public bool IsFile => (Mode & KindMask) == FileKind;

    /// <summary>Whether somebody beside its owner may write it.</summary>
    public bool IsWritableByOthers => (Mode & WritableByOthers) != 0;

    /// <summary>Whether it belongs to the user that this process runs as.</summary>
    public bool IsOwn => Owner == geteuid();

    /// <summary>Asks the system; null if there is no such file or it may not be looked at.</summary>
    /// <param name="path">The file.</param>
    /// <param name="follow">Whether a symbolic link stands for what it points to.</param>
    /// <exception cref="PlatformNotSupportedException">The system is not Linux.</exception>
    public static unsafe FileStatus? Of(string path, bool follow)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("the status of files is read on Linux only");
        }

        // struct statx, whose layout is the same on every architecture.
        var data = stackalloc byte[256];
        if (statx(CurrentFolder, path, follow ? 0 : DoNotFollow, BasicFields, data) != 0)
        {
            return null;
        }

        var fields = new ReadOnlySpan<byte>(data, 256);
        return new FileStatus(
            ((ulong)UInt(fields, 136) << 32) | UInt(fields, 140),
            BinaryPrimitives.ReadUInt64LittleEndian(fields[32..]),
            UInt(fields, 20),
            BinaryPrimitives.ReadUInt16LittleEndian(fields[28..]),
            BinaryPrimitives.ReadInt64LittleEndian(fields[40..]),
            Time(fields[112..]),
            Time(fields[96..]));
    }

    private static uint UInt(ReadOnlySpan<byte> fields, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(fields[offset..]);

    private static Int128 Time(ReadOnlySpan<byte> fields) =>
        ((Int128)BinaryPrimitives.ReadInt64LittleEndian(fields) * 1_000_000_000) + UInt(fields, 8);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static unsafe partial int statx(int folder, string path, int flags, uint mask, byte* result);

    [LibraryImport("libc")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial uint geteuid();
}
