using ModelServe.Execution.Loading;
using ModelServe.Execution.Native;

namespace ModelServe.Execution.Quantization;

/// <summary>Finds the folder in which quantised weights are kept, and refuses one that others could write.</summary>
/// <remarks>
/// What lies there becomes the weights of a model: the folder must belong to this process's user, no other may write it, and it may not be
/// a link. It is made with access for its owner alone, and never lies inside a checkpoint.
/// </remarks>
internal static class CacheFolder
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The folder, made if it was not there.</summary>
    /// <param name="asked">What the operator asked for; null takes the default.</param>
    /// <param name="checkpoint">The checkpoint's folder.</param>
    /// <exception cref="ModelLoadException">The folder is unsafe, lies in the checkpoint, or cannot be made.</exception>
    public static string Open(string? asked, string checkpoint)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(asked ?? Default()));
        var owner = Path.TrimEndingDirectorySeparator(Path.GetFullPath(checkpoint));
        if (folder == owner || folder.StartsWith(owner + Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            throw new ModelLoadException($"cache-dir: a folder outside the checkpoint {owner}; got {folder}");
        }

        if (!OperatingSystem.IsLinux())
        {
            throw new ModelLoadException($"cache-dir: {WeightQuantization.NoCache} on this system, whose file owners are not checked; got {folder}");
        }

        try
        {
            // Does nothing to a folder that is there.
            Directory.CreateDirectory(folder, OwnerOnly);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ModelLoadException($"cache-dir: a folder that can be made; got {folder}: {exception.Message}", exception);
        }

        return Refusal(FileStatus.Of(folder, follow: false)) is { } refusal
            ? throw new ModelLoadException($"cache-dir: {refusal}; got {folder}")
            : folder;
    }

    /// <summary>What is wrong with a folder of this status; null if nothing is.</summary>
    internal static string? Refusal(FileStatus? status) => status switch
    {
        null or { IsFolder: false } => "a folder, and not a link to one",
        { IsOwn: false } => $"a folder of the user that runs this process, not of user {status.Owner}",
        { IsWritableByOthers: true } => $"a folder that only its owner may write (mode 0700, not 0{Convert.ToString(status.Mode & 0xFFF, 8)})",
        _ => null,
    };

    private static string Default()
    {
        var home = EnvironmentVariables.CacheHome;
        if (home is null)
        {
            var user = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
            home = user.Length > 0
                ? Path.Combine(user, ".cache")
                : throw new ModelLoadException($"cache-dir: needed where neither XDG_CACHE_HOME nor a home folder is set ({WeightQuantization.NoCache} keeps nothing)");
        }

        return Path.Combine(home, "modelserve");
    }
}
