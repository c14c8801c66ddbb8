using System.Buffers;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using ModelServe.Execution.Loading;

namespace ModelServe.Host.Models;

/// <summary>The SHA-256 of a checkpoint's files, as <c>sha256sum</c> writes them, and whether the files still have it.</summary>
/// <remarks>
/// What a header check cannot see, it does: a flipped bit among the weights. Every file of weights, tokenizer and configuration in the folder must
/// stand in the list, so that nothing can be slipped in beside it.
/// </remarks>
internal static class ChecksumManifest
{
    /// <summary>Name of the list in the checkpoint's folder.</summary>
    public const string FileName = "SHA256SUMS";

    private const int MaxBytes = 1 << 20;
    private static readonly SearchValues<char> Hexadecimal = SearchValues.Create("0123456789abcdefABCDEF");
    private static readonly string[] Covered = [".safetensors", ".json", ".jinja", ".model", ".txt"];

    /// <summary>Reads every listed file and compares.</summary>
    /// <param name="directory">The checkpoint.</param>
    /// <exception cref="ModelLoadException">There is no list, a file is missing from it or from the folder, or one has changed; the message names it.</exception>
    public static void Verify(string directory)
    {
        Dictionary<string, string> sums = Read(Path.Combine(directory, FileName));
        foreach (string file in Directory.EnumerateFiles(directory).Select(path => Path.GetFileName(path)!))
        {
            if (Covered.Contains(Path.GetExtension(file)) && !sums.ContainsKey(file))
            {
                throw new ModelLoadException($"{file}: listed in {FileName}; got a file that is not");
            }
        }

        try
        {
            Parallel.ForEach(sums, entry =>
            {
                string found = Sum(Path.Combine(directory, entry.Key), entry.Key);
                if (!found.Equals(entry.Value, StringComparison.OrdinalIgnoreCase))
                {
                    throw new ModelLoadException($"{entry.Key}: SHA-256 {entry.Value} as in {FileName}; got {found}");
                }
            });
        }
        catch (AggregateException exception) when (exception.InnerExceptions[0] is ModelLoadException first)
        {
            ExceptionDispatchInfo.Throw(first);
        }
    }

    private static Dictionary<string, string> Read(string path)
    {
        Dictionary<string, string> sums = new(StringComparer.Ordinal);
        string[] lines;
        try
        {
            long length = new FileInfo(path).Length;
            lines = length <= MaxBytes ? File.ReadAllLines(path) : throw new ModelLoadException($"{FileName}: at most {MaxBytes} bytes; got {length}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"{FileName}: a list of checksums, as --verify-checksums wants one; got {exception.Message}", exception);
        }

        for (int i = 0; i < lines.Length; i++)
        {
            // The sum, a blank, and a blank or an asterisk before the name.
            string line = lines[i];
            string name = line.Length > 66 ? line[66..] : "";
            if (line.Length > 0
                && (name.Length == 0 || name != Path.GetFileName(name) || line[64] != ' ' || line[65] is not (' ' or '*')
                    || !line.AsSpan(0, 64).ContainsOnlyHexadecimal() || !sums.TryAdd(name, line[..64])))
            {
                throw new ModelLoadException($"{FileName}: line {i + 1}: a SHA-256, two blanks and the name of a file in this folder, each once");
            }
        }

        return sums;
    }

    private static bool ContainsOnlyHexadecimal(this ReadOnlySpan<char> text) => !text.ContainsAnyExcept(Hexadecimal);

    private static string Sum(string path, string name)
    {
        try
        {
            using FileStream file = new(path, new FileStreamOptions { Options = FileOptions.SequentialScan, BufferSize = 1 << 20 });
            return Convert.ToHexStringLower(SHA256.HashData(file));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"{name}: a file that can be read; got {exception.Message.Replace(path, name, StringComparison.Ordinal)}", exception);
        }
    }
}
