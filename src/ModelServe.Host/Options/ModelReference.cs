using System.Text.RegularExpressions;

namespace ModelServe.Host.Options;

/// <summary>A model to serve: the name clients use, and the folder of its checkpoint.</summary>
/// <param name="Name">Lower-case letters, digits, dot, dash, underscore; at most 64; starts with a letter or digit.</param>
/// <param name="Directory">A Hugging Face checkpoint folder, as given.</param>
internal sealed partial record ModelReference(string Name, string Directory)
{
    /// <summary>Reads NAME=DIR, or DIR alone (the name is then the folder's own).</summary>
    public static bool TryParse(string text, out ModelReference? reference, out string error)
    {
        reference = null;
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        string directory = equals < 0 ? text : text[(equals + 1)..];
        string name = equals < 0 ? DefaultName(text) : text[..equals];
        if (directory.Length == 0)
        {
            error = $"--model: expected NAME=DIR; got '{text}'";
            return false;
        }

        if (!NamePattern().IsMatch(name))
        {
            error = $"--model: a name is 1 to 64 of a-z, 0-9, '.', '_' or '-' and starts with a letter or digit; got '{name}'";
            return false;
        }

        reference = new ModelReference(name, directory);
        error = "";
        return true;
    }

    // A folder called Llama-3.2-1B is served as llama-3.2-1b.
#pragma warning disable CA1308 // names are lower case by rule, not for comparison
    private static string DefaultName(string directory) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory))).ToLowerInvariant();
#pragma warning restore CA1308

    [GeneratedRegex("^[a-z0-9][a-z0-9._-]{0,63}$")]
    private static partial Regex NamePattern();
}
