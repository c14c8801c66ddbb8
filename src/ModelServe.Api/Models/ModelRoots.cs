using System.Text.RegularExpressions;
using ModelServe.Api.Requests;
using ModelServe.Engine.Admission;

namespace ModelServe.Api.Models;

/// <summary>The folders below which an operator allows models to be loaded by request. Immutable and thread-safe.</summary>
/// <remarks>
/// Names are checked before the disk is asked; then every link is followed by hand, and the folder and each file in it must
/// lie below the very root. Whoever may write below a root is trusted not to swap links while a model loads.
/// </remarks>
public sealed partial class ModelRoots
{
    private const int LongestDirectory = 512;
    private const int MostLinks = 40;

    private readonly string[] _roots;

    /// <summary>Roots that exist.</summary>
    /// <exception cref="ArgumentException">One is no folder.</exception>
    public ModelRoots(IEnumerable<string> roots)
    {
        _roots = [.. roots.Select(root => Directory.Exists(root)
            ? RealPath(Path.GetFullPath(root))
            : throw new ArgumentException($"model root: a folder that exists; got '{root}'", nameof(roots)))];
    }

    /// <summary>Whether there is none, so that nothing can be loaded by request.</summary>
    public bool IsEmpty => _roots.Length == 0;

    /// <summary>The real path of a folder that a request names.</summary>
    /// <param name="directory">A path relative to one of the roots.</param>
    /// <param name="path">The absolute path without links, when the answer is null.</param>
    public Rejection? Resolve(string directory, out string path)
    {
        path = string.Empty;
        if (directory.Length > LongestDirectory || !directory.Split('/').All(part => Segment().IsMatch(part)))
        {
            return FieldCheck.Invalid(
                "directory",
                $"at most {FieldCheck.Text(LongestDirectory)} characters: segments of letters, digits, dots, underscores and dashes "
                    + "that start with a letter, a digit or an underscore, separated by '/'",
                FieldCheck.Quote(directory));
        }

        foreach (string root in _roots)
        {
            string candidate = Path.Combine(root, directory);
            if (Directory.Exists(candidate))
            {
                try
                {
                    return Check(root, candidate, directory, out path);
                }
                catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
                {
                    return new Rejection(
                        RejectionReason.LoadRefused, "directory", "a folder that can be read", FieldCheck.Quote(directory));
                }
            }
        }

        return new Rejection(
            RejectionReason.UnknownDirectory, "directory", "a folder below a folder that the operator approved", FieldCheck.Quote(directory));
    }

    private static Rejection? Check(string root, string candidate, string directory, out string path)
    {
        path = RealPath(candidate);
        if (!IsBelow(root, path))
        {
            return Escape(directory);
        }

        foreach (string file in Directory.EnumerateFileSystemEntries(path))
        {
            if (!IsBelow(root, RealPath(file)))
            {
                return Escape($"{directory}/{Path.GetFileName(file)}");
            }
        }

        return null;
    }

    private static Rejection Escape(string name) => FieldCheck.Invalid(
        "directory", "links that stay below the folder that the operator approved", FieldCheck.Quote(name));

    private static bool IsBelow(string root, string path) =>
        path.StartsWith(Path.TrimEndingDirectorySeparator(root) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>Follows every link of an absolute path, also those in its middle.</summary>
    /// <exception cref="IOException">The links form a circle.</exception>
    private static string RealPath(string path)
    {
        string real = Path.GetPathRoot(path)!;
        var rest = new Stack<string>(path[real.Length..].Split(Path.DirectorySeparatorChar).Reverse());
        int links = 0;
        while (rest.TryPop(out string? part))
        {
            if (part is "" or ".")
            {
                continue;
            }

            if (part == "..")
            {
                real = Path.GetDirectoryName(real) ?? real;
                continue;
            }

            string next = Path.Combine(real, part);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }

            if (++links > MostLinks)
            {
                throw new IOException($"more than {MostLinks} links in one path");
            }

            if (Path.IsPathRooted(target))
            {
                real = Path.GetPathRoot(target)!;
            }

            foreach (string piece in target.Split(Path.DirectorySeparatorChar).Reverse())
            {
                rest.Push(piece);
            }
        }

        return real;
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9._-]*\z", RegexOptions.CultureInvariant)]
    private static partial Regex Segment();
}
