using System.Runtime.CompilerServices;

namespace ModelServe.Architecture.Tests;

/// <summary>The repository's own files as they lie on disk, without build outputs.</summary>
internal static class SourceTree
{
    private static readonly string[] CodeEndings = [".cs", ".cu", ".cuh", ".cpp", ".h", ".c", ".proto"];
    private static readonly string[] TextEndings = [.. CodeEndings, ".md", ".json", ".props", ".targets", ".csproj", ".sh", ".mjs", ".js", ".py", ".txt", ".yml"];
    private static readonly string[] OutputFolders = ["bin", "obj", "artifacts", "node_modules", "build", "prebuilt", ".git", "TestResults", "BenchmarkDotNet.Artifacts"];

    /// <summary>The repository's root folder.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>Source files below the given top-level folders; paths relative to the root, with forward slashes.</summary>
    public static IReadOnlyList<string> Code(params string[] folders) => Files(folders, CodeEndings);

    /// <summary>Every text file of the repository; paths relative to the root. In a linked worktree <c>.git</c> is a file, and none of the repository's.</summary>
    public static IReadOnlyList<string> Text() =>
        [.. Files(["src", "native", "tests", "benchmarks", "models", "deploy", "docs", ".ci"], TextEndings), .. Directory.EnumerateFiles(Root).Select(Relative).Where(file => file != ".git")];

    /// <summary>Lines of a file given by its relative path.</summary>
    public static string[] Lines(string relative) => File.ReadAllLines(Path.Combine(Root, relative));

    private static List<string> Files(string[] folders, string[] endings)
    {
        List<string> found = [];
        Stack<string> open = new(folders.Select(folder => Path.Combine(Root, folder)).Where(Directory.Exists));
        while (open.TryPop(out string? folder))
        {
            foreach (string child in Directory.EnumerateDirectories(folder))
            {
                if (!OutputFolders.Contains(Path.GetFileName(child)))
                {
                    open.Push(child);
                }
            }

            found.AddRange(Directory.EnumerateFiles(folder).Where(file => endings.Contains(Path.GetExtension(file))).Select(Relative));
        }

        found.Sort(StringComparer.Ordinal);
        return found;
    }

    private static string Relative(string path) => Path.GetRelativePath(Root, path).Replace('\\', '/');

    private static string FindRoot([CallerFilePath] string here = "")
    {
        // Deterministic builds map the compiler's paths; then the program's own folder leads upward to the root.
        DirectoryInfo? folder = File.Exists(here) ? new FileInfo(here).Directory : new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "ModelServe.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("ModelServe.sln is in no folder above " + AppContext.BaseDirectory);
    }
}
