using System.Runtime.InteropServices;

namespace ModelServe.Execution.Kernels;

/// <summary>What a device is and how much memory it has left.</summary>
/// <remarks>
/// Mirrors <c>ms_device_info</c> of <c>modelserve.h</c> byte for byte; the header says what each field means, its shape and unit.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct DeviceInfo
{
    public uint StructSize;
    public int ComputeMajor;
    public int ComputeMinor;
    public int SmCount;
    public long TotalBytes;
    public long FreeBytes;
    public int HasCublaslt;
    public int IsEmulated;
    public int DriverVersion;
    public int CublasltVersion;
    public fixed byte Name[64];

    /// <summary>The device's name as its maker writes it.</summary>
    public readonly string NameText()
    {
        fixed (byte* name = Name)
        {
            return Marshal.PtrToStringUTF8((nint)name) ?? "";
        }
    }

    /// <summary>Empty arguments that carry their own size, as the library demands.</summary>
    public static DeviceInfo Create() => new() { StructSize = (uint)sizeof(DeviceInfo) };
}
