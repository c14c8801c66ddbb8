using System.Diagnostics;
using ModelServe.Execution.Kernels;
using ModelServe.Execution.Tests.Kernels;
using Xunit;

[assembly: AssemblyFixture(typeof(StubLibrary))]

namespace ModelServe.Execution.Tests.Kernels;

/// <summary>The CPU stub of the native library, built by g++ once for all tests that call it.</summary>
public sealed class StubLibrary : IDisposable
{
    private static readonly string[] SharedSources = ["error.cpp", "checks.cpp", "gemm_rules.cpp"];
    private readonly TemporaryFolder _folder = new();

    public StubLibrary()
    {
        var native = NativeSources();
        var path = System.IO.Path.Combine(_folder.Path, "libmodelserve.so");
        var sources = Directory.GetFiles(System.IO.Path.Combine(native, "stub"), "*.cpp")
            .Concat(SharedSources.Select(name => System.IO.Path.Combine(native, "launch", name)));
        string[] flags =
        [
            "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fvisibility=hidden", "-shared",
            "-Wl,-soname,libmodelserve.so", $"-I{System.IO.Path.Combine(native, "include")}", "-o", path,
        ];
        WhyMissing = Compile([.. flags, .. sources]);
        Path = path;
        if (WhyMissing is null)
        {
            KernelLibrary.Load(path);
        }
    }

    /// <summary>Null when the stub is loaded, else why it is not.</summary>
    public string? WhyMissing { get; }

    /// <summary>Where it lies.</summary>
    public string Path { get; }

    /// <summary>Reports the test as skipped where the stub cannot be built.</summary>
    public void SkipIfMissing() => Assert.SkipWhen(WhyMissing is not null, WhyMissing ?? string.Empty);

    public void Dispose() => _folder.Dispose();

    // Found from the program's own folder: a deterministic build maps the compiler's paths.
    private static string NativeSources()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "native", "include", "modelserve.h")))
            {
                return System.IO.Path.Combine(folder.FullName, "native");
            }
        }

        throw new DirectoryNotFoundException("native/include/modelserve.h lies in no folder above " + AppContext.BaseDirectory);
    }

    /// <summary>Null on success; without a compiler, the reason to skip; a compile error fails the test.</summary>
    private static string? Compile(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("g++", arguments) { RedirectStandardError = true };
        Process? process;
        try
        {
            process = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception missing)
        {
            return $"g++ is not installed: {missing.Message}";
        }

        using (process)
        {
            var errors = process!.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.True(process.ExitCode == 0, errors);
            return null;
        }
    }
}
