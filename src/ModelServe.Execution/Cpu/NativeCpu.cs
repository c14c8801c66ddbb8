using System.Runtime.InteropServices;

namespace ModelServe.Execution.Cpu;

/// <summary>Finds the native CPU library beside the program and says what it can do here.</summary>
/// <remarks>
/// The library is built only where a C compiler exists, so its absence is no error: the C# kernels run instead. A library of another
/// version beside the program is one, because that is a broken installation. Any thread.
/// </remarks>
internal static class NativeCpu
{
    /// <summary>The version of <c>modelserve_cpu.h</c> that this code was written against.</summary>
    public const int AbiVersion = 4;

    private const string FileName = "libmodelserve_cpu.so";

    /// <summary>Loads the library if it is there.</summary>
    /// <returns>The features whose kernels may be called; none where the library is missing.</returns>
    /// <exception cref="NativeCpuException">The library is there, but does not load or has another version.</exception>
    public static NativeCpuFeatures Load() => Load(AppContext.BaseDirectory);

    /// <summary>As <see cref="Load()"/>, from a folder.</summary>
    internal static NativeCpuFeatures Load(string folder)
    {
        var path = Path.Combine(folder, FileName);
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture != Architecture.X64 || !File.Exists(path))
        {
            return NativeCpuFeatures.None;
        }

        try
        {
            // The imports find it by its soname from here on.
            NativeLibrary.Load(path);
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            throw new NativeCpuException($"{path}: the system's loader refused it: {exception.Message}", exception);
        }

        var version = NativeCpuMethods.ms_cpu_abi_version();
        return version == AbiVersion
            ? (NativeCpuFeatures)NativeCpuMethods.ms_cpu_features()
            : throw new NativeCpuException($"{path}: version {AbiVersion} is needed; got {version}");
    }
}
