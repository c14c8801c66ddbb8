using System.Runtime.InteropServices;
using TorchSharp;

namespace ModelServe.Execution.Native;

/// <summary>Brings libtorch into the process, once, in the order that it needs.</summary>
/// <remarks>
/// Must have run before any other TorchSharp type is touched: TorchSharp's own search copies half a gigabyte from the package
/// cache before it fails, and hides the loader's text. libtorch resolves its parts by the names of what is already loaded, so
/// loading by full path in dependency order is all it takes, wherever it lies.
/// </remarks>
internal static partial class NativeTorch
{
    // Dependencies before dependents. The CUDA parts must be there before the first torch call, because libtorch looks once.
    private static readonly string[] Libraries =
        ["libc10.so", "libtorch_cpu.so", "libc10_cuda.so", "libtorch_cuda.so", "libtorch.so"];

    private static readonly Lazy<string> Loading = new(LoadOnce, LazyThreadSafetyMode.ExecutionAndPublication);

    /// <summary>Loads libtorch for the CPU unless that has happened; any thread.</summary>
    /// <returns>The folder it was loaded from.</returns>
    /// <exception cref="NativeTorchException">A library is missing or does not load.</exception>
    public static string EnsureLoaded() => Loading.Value;

    /// <summary>Whether there is a libtorch to load: none in a program that was built without one, or for another system than linux-x64. Any thread.</summary>
    /// <remarks>One that the environment names counts as there: where it is not, loading says so.</remarks>
    public static bool IsThere() => IsThere(EnvironmentVariables.TorchFolder, AppContext.BaseDirectory);

    /// <summary>Whether this libtorch was built for CUDA and finds a GPU; loads it. Any thread.</summary>
    /// <exception cref="NativeTorchException">A library is missing or does not load.</exception>
    public static bool HasCuda() =>
        File.Exists(Path.Combine(EnsureLoaded(), "libtorch_cuda.so")) && torch.cuda.is_available();

    /// <summary>As <see cref="IsThere()"/>, for a folder that the environment names, and the program's.</summary>
    internal static bool IsThere(string? named, string baseFolder) =>
        IsOfThisSystem && (named is not null || Array.Exists(Candidates(baseFolder), Holds));

    /// <summary>The folder that holds libtorch, of the one that the environment names or else the candidates beside the program.</summary>
    /// <exception cref="NativeTorchException">None of them holds it.</exception>
    internal static string FindFolder(string? named, string baseFolder)
    {
        var candidates = named is not null ? [named] : Candidates(baseFolder);
        if (Array.Find(candidates, Holds) is { } found)
        {
            return found;
        }

        var advice = named is not null
            ? $"{EnvironmentVariables.TorchFolderName} must name the folder that holds libtorch 2.10"
            : $"build with -p:Accelerator=cpu, or set {EnvironmentVariables.TorchFolderName} to the folder that holds libtorch 2.10";
        throw new NativeTorchException($"libtorch_cpu.so: not found in {string.Join(" nor ", candidates)}; {advice}");
    }

    private static bool IsOfThisSystem => OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64;

    private static string[] Candidates(string baseFolder) => [baseFolder, Path.Combine(baseFolder, "runtimes", "linux-x64", "native")];

    private static bool Holds(string folder) => File.Exists(Path.Combine(folder, "libtorch_cpu.so"));

    private static string LoadOnce()
    {
        if (!IsOfThisSystem)
        {
            throw new NativeTorchException(
                $"libtorch: linux-x64 is supported; this is {RuntimeInformation.RuntimeIdentifier}");
        }

        var folder = FindFolder(EnvironmentVariables.TorchFolder, AppContext.BaseDirectory);

        // A preempted OpenMP thread otherwise stalls its spinning peers for a whole time slice. libgomp reads the C
        // environment when it loads; Environment.SetEnvironmentVariable does not reach it.
        if (setenv("OMP_WAIT_POLICY", "passive", overwrite: 1) != 0)
        {
            throw new NativeTorchException("OMP_WAIT_POLICY: the C library refused to set it");
        }

        foreach (var name in Libraries)
        {
            var path = Path.Combine(folder, name);
            if (File.Exists(path))
            {
                Load(path, () => NativeLibrary.Load(path));
            }
        }

        Load("libLibTorchSharp.so", () => NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, null));
        try
        {
            torch.InitializeDeviceType(DeviceType.CPU);
        }
        catch (Exception exception) when (exception is NotSupportedException or DllNotFoundException or TypeInitializationException)
        {
            throw new NativeTorchException($"libtorch in {folder}: loaded, but refused to start: {exception.Message}", exception);
        }

        return folder;
    }

    private static void Load(string library, Func<nint> load)
    {
        try
        {
            load();
        }
        catch (Exception exception) when (exception is DllNotFoundException or BadImageFormatException)
        {
            throw new NativeTorchException(
                $"{library}: the system's loader refused it: {exception.Message} " +
                "(a missing GLIBC or GLIBCXX version means that the system is older than Debian 12)",
                exception);
        }
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int setenv(string name, string value, int overwrite);
}
