using System.Diagnostics;
using ModelServe.Host.Tests.Gpu;
using Xunit;

[assembly: AssemblyFixture(typeof(GpuStub))]

namespace ModelServe.Host.Tests.Gpu;

/// <summary>The CPU stub of the GPU kernels' library, built by g++ once for all tests that start the program with it.</summary>
public sealed class GpuStub : IDisposable
{
    private static readonly string[] SharedSources = ["error.cpp", "checks.cpp", "gemm_rules.cpp"];
    private readonly string _folder = Directory.CreateTempSubdirectory("modelserve-stub-").FullName;

    public GpuStub()
    {
        string native = NativeSources();
        Library = Path.Combine(_folder, "libmodelserve.so");
        string[] arguments =
        [
            "-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-shared", "-Wl,-soname,libmodelserve.so",
            $"-I{Path.Combine(native, "include")}", "-o", Library,
            .. Directory.GetFiles(Path.Combine(native, "stub"), "*.cpp"),
            .. SharedSources.Select(name => Path.Combine(native, "launch", name)),
        ];
        try
        {
            using Process compiler = Process.Start(new ProcessStartInfo("g++", arguments) { RedirectStandardError = true })!;
            string errors = compiler.StandardError.ReadToEnd();
            compiler.WaitForExit();
            Assert.True(compiler.ExitCode == 0, errors);
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            WhyMissing = $"g++ is not installed: {missing.Message}";
        }
    }

    /// <summary>Null when the stub was built, else why it was not.</summary>
    public string? WhyMissing { get; }

    /// <summary>Where it lies.</summary>
    public string Library { get; }

    /// <summary>The sources of the native library; found from the program's own folder, because a deterministic build maps the compiler's paths.</summary>
    public static string NativeSources()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "native", "include", "modelserve.h")))
            {
                return Path.Combine(folder.FullName, "native");
            }
        }

        throw new DirectoryNotFoundException("native/include/modelserve.h lies in no folder above " + AppContext.BaseDirectory);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
